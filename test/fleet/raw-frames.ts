import { spawnSync } from 'node:child_process';
import type { Lab } from '../lab/lab.ts';
import { until } from './until.ts';

export const socatMissing = spawnSync('socat', ['-V']).status !== 0;

const port = 9_999;

/**
 * Puts frames on an interface as they are, byte for byte: socat takes each as a datagram and writes it to a packet socket. At most
 * `rate` per second.
 */
export async function sendFrames(
  lab: Lab,
  namespace: string,
  device: string,
  frames: readonly Buffer[],
  rate: number,
): Promise<void> {
  const socat = lab.start(namespace, [
    'socat',
    '-u',
    `UDP4-RECV:${port},bind=127.0.0.1,rcvbuf=4194304`,
    `INTERFACE:${device}`,
  ]);
  await until('socat listens', async () => {
    if (!socat.running) throw new Error(`socat ended: ${socat.stderr}`);
    return (await receiveQueue(lab, namespace)) !== undefined;
  });
  const script = `
    const frames = require('node:fs').readFileSync(0, 'latin1').split('\\n').map((line) => Buffer.from(line, 'hex'));
    const socket = require('node:dgram').createSocket('udp4');
    let next = 0;
    let sent = 0;
    const onSent = (error) => {
      if (error) throw error;
      sent += 1;
      if (sent === frames.length) socket.close();
    };
    const began = performance.now();
    const timer = setInterval(() => {
      const due = Math.min(frames.length, Math.floor((performance.now() - began) * ${rate / 1000}));
      for (; next < due; next += 1) socket.send(frames[next], ${port}, '127.0.0.1', onSent);
      if (next === frames.length) clearInterval(timer);
    }, 5);`;
  const input = frames.map((frame) => frame.toString('hex')).join('\n');
  const sent = await lab.run(namespace, [process.execPath, '--eval', script], { input, timeoutMs: 120_000 });
  if (sent.code !== 0) throw new Error(`frames could not be sent: ${sent.stderr}`);
  await until('socat has taken all frames', async () => {
    const queue = await receiveQueue(lab, namespace);
    if (queue !== undefined && queue.drops > 0) throw new Error(`socat was too slow for ${queue.drops} frames`);
    return queue === undefined || queue.bytes === 0;
  });
  // What it has taken it writes at once.
  await new Promise((resolve) => setTimeout(resolve, 200));
  const { stderr } = await socat.stop();
  if (stderr.includes(' E ')) throw new Error(`socat: ${stderr}`);
}

/** What waits for socat, and what the kernel dropped because it was too slow; `undefined` if it does not listen. */
async function receiveQueue(lab: Lab, namespace: string): Promise<{ bytes: number; drops: number } | undefined> {
  const { stdout } = await lab.run(namespace, ['cat', '/proc/net/udp']);
  const local = `:${port.toString(16).toUpperCase()}`;
  const fields = stdout
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .find((line) => line[1]?.endsWith(local));
  if (fields === undefined) return undefined;
  return { bytes: Number.parseInt(fields[4]?.split(':')[1] ?? '', 16), drops: Number(fields.at(-1)) };
}
