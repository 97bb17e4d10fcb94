import { spawnSync } from 'node:child_process';
import type { RelayPath } from '../fleet/relay-path.ts';

/** One UDP packet as tcpdump saw it. */
export interface SeenPacket {
  readonly source: string;
  readonly destination: string;
  readonly port: number;
  readonly ttl: number;
  /** UDP payload in bytes. */
  readonly length: number;
}

export const tcpdumpMissing = spawnSync('tcpdump', ['--version']).status !== 0;

/** Watches the far end of the course until so many packets came, or ten seconds after `meanwhile` is over. */
export async function capture(
  path: RelayPath,
  filter: string,
  count: number,
  meanwhile: () => Promise<void>,
): Promise<SeenPacket[]> {
  const { namespace, interface: device } = path.course.receiver;
  const argv = ['tcpdump', '-i', device, '-Q', 'in', '-n', '-v', '-U', '-l', '-c', String(count), filter];
  await using tcpdump = path.lab.start(namespace, argv);
  await tcpdump.waitForOutput(/listening on/);
  await meanwhile();
  await Promise.race([tcpdump.exited, new Promise((resolve) => setTimeout(resolve, 10_000))]);
  const { stdout } = await tcpdump.stop();
  return parseTcpdump(stdout);
}

/** Reads what `tcpdump -n -v` prints of IPv4 UDP packets: two lines each. */
export function parseTcpdump(text: string): SeenPacket[] {
  const pattern = /ttl (\d+),.*\n\s+(\d+(?:\.\d+){3})\.\d+ > (\d+(?:\.\d+){3})\.(\d+):.*UDP, length (\d+)/g;
  return [...text.matchAll(pattern)].map(([, ttl, source, destination, port, length]) => ({
    source: source ?? '',
    destination: destination ?? '',
    port: Number(port),
    ttl: Number(ttl),
    length: Number(length),
  }));
}
