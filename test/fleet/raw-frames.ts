import { PacketSender } from '../../native/test/forwarder-process.ts';
import type { Lab } from '../lab/lab.ts';

/** Frames that are sent at once after this machine stood still. */
const maxBurst = 100;

/** Puts frames on an interface as they are, byte for byte, at most `rate` per second. */
export async function sendFrames(
  lab: Lab,
  namespace: string,
  device: string,
  frames: readonly Buffer[],
  rate: number,
): Promise<void> {
  const sender = new PacketSender(lab.realName(namespace), device);
  const began = performance.now();
  for (let next = 0; next < frames.length; ) {
    const due = Math.min(frames.length, next + maxBurst, ((performance.now() - began) * rate) / 1_000);
    const burst = frames.slice(next, due);
    if (burst.length > 0) await sender.frames(...burst);
    next += burst.length;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await sender.end();
}
