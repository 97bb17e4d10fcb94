import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { ForeignLoad } from './foreign-load.ts';
import { processTime } from './processor-time.ts';

/** Another process that uses a core for as long as it runs, a minute at most. */
async function withBusyProcess<T>(use: (pid: number) => Promise<T>): Promise<T> {
  // Ends by itself too: a test's process that is ended cannot end it.
  const script = 'console.log("runs"); for (const end = Date.now() + 60_000; Date.now() < end; ) {}';
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    await once(child.stdout, 'data');
    return await use(child.pid ?? 0);
  } finally {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
}

test('what another process uses is foreign, unless it is one of ours', async () => {
  await withBusyProcess(async (pid) => {
    const foreign = new ForeignLoad([process.pid]);
    const ours = new ForeignLoad([process.pid, pid]);
    const before = processTime([pid]);
    // However long that takes: on a busy machine it gets but a part of a core.
    while (processTime([pid]) - before < 0.3) await sleep(50);
    // Both see the rest of the machine; the child makes the difference.
    const [all, rest] = [foreign.cores(), ours.cores()];
    expect(all).toBeGreaterThan(rest);
  });
});
