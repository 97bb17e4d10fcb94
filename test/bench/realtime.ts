import { command } from '../lab/command.ts';

const PRIORITY = '10';

/**
 * Gives all threads of running processes real-time priority.
 *
 * @param heirs whether threads and processes that they start later have it too.
 */
export async function giveRealtimePriority(pids: readonly number[], heirs: boolean): Promise<void> {
  const flags = heirs ? [] : ['--reset-on-fork'];
  for (const pid of pids) {
    await command(['chrt', '--fifo', ...flags, '--all-tasks', '--pid', PRIORITY, String(pid)]);
  }
}
