import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 5;
/** Nothing for so long: no more will come. */
const QUIET_MS = 40;
const LIMIT_MS = 3_000;

/**
 * Waits until nothing that was sent before can disturb what comes next; three seconds at the most. Who counts afterwards sees what still
 * comes.
 *
 * @param arrived a count that grows while something comes.
 */
export async function untilQuiet(arrived: () => Promise<number>): Promise<void> {
  const end = performance.now() + LIMIT_MS;
  let last = await arrived();
  let since = performance.now();
  while (performance.now() - since < QUIET_MS && performance.now() < end) {
    await sleep(POLL_MS);
    const now = await arrived();
    if (now !== last) since = performance.now();
    last = now;
  }
}
