import { isIPv4, isIPv6 } from 'node:net';
import { type InterfaceFacts, listInterfaces } from '@mcfleet/native';
import { type Command, InvalidArgumentError } from 'commander';
import { CommandFailure, UsageError } from '../exit.ts';
import { parseDuration } from '../text/duration.ts';
import { mostSimilar } from '../text/similar.ts';
import { parsePort } from './global-options.ts';

/** Options of both ends of a probe. */
export interface ProbeOptions {
  readonly interface: string;
  readonly group: string;
  readonly port: number;
  readonly raw?: boolean;
  readonly payloadSha256?: boolean;
  readonly output: 'table' | 'json';
}

export function addProbeOptions(command: Command): void {
  command
    .requiredOption('--interface <if>', 'the interface')
    .requiredOption('--group <address>', 'the group, or a unicast address; IPv4 or IPv6', parseDestination)
    .requiredOption('--port <port>', 'the UDP destination port', parsePort);
}

/** Reads a number with a range; the message names it. */
export function numberOf(
  unit: string,
  { min, max }: { readonly min: number; readonly max: number },
  { whole = true }: { readonly whole?: boolean } = {},
): (text: string) => number {
  return (text) => {
    const value = Number(text);
    const plain = whole ? /^\d+$/ : /^\d+(\.\d+)?$/;
    if (!plain.test(text) || value < min || value > max) {
      throw new InvalidArgumentError(`Give ${unit}: ${whole ? 'a whole number ' : ''}from ${min} to ${max}.`);
    }
    return value;
  };
}

/** Reads "30" (seconds), "30s", "2m"; gives milliseconds. */
export function parseSeconds(text: string): number {
  const ms = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : parseDuration(text);
  if (ms === undefined || ms <= 0)
    throw new InvalidArgumentError('Give seconds, or a duration such as 500ms, 30s or 2m.');
  return ms;
}

/** An address that packets can be sent to. */
function parseDestination(text: string): string {
  if (isIPv6(text)) {
    if (text.includes('%')) throw new InvalidArgumentError('Leave out the zone: --interface says it.');
    if (/^[0:.]+$/.test(text))
      throw new InvalidArgumentError('Give a group (ff00::/8) or the unicast address of one host.');
    return text;
  }
  if (!isIPv4(text)) throw new InvalidArgumentError('Give an IP address, as in 239.1.1.1 or ff15::1.');
  if (text.startsWith('0.') || text === '255.255.255.255' || firstByte(text) >= 240) {
    throw new InvalidArgumentError('Give a group (224.0.0.0 to 239.255.255.255) or the unicast address of one host.');
  }
  return text;
}

/** An address that packets can come from. */
export function parseSource(text: string): string {
  if (isIPv6(text) && !/^(ff|[0:.]+$)|%/i.test(text)) return text;
  if (!isIPv4(text) || text.startsWith('0.') || firstByte(text) >= 224) {
    throw new InvalidArgumentError('Give a unicast address, as in 10.99.99.99 or 2001:db8::7.');
  }
  return text;
}

function firstByte(address: string): number {
  return Number(address.split('.')[0]);
}

/**
 * The interface of that name.
 * @throws UsageError that says which there are
 */
export function findInterface(name: string): InterfaceFacts {
  const interfaces = listInterfaces();
  const found = interfaces.find((one) => one.name === name);
  if (found !== undefined) return found;
  const names = interfaces.map((one) => one.name);
  const near = mostSimilar(name, names);
  const hint = near === undefined ? `there are: ${names.join(', ')}` : `did you mean ${near}?`;
  throw new UsageError(`--interface "${name}" is not here; ${hint}`);
}

/** @throws UsageError for what a probe does with IPv4 only */
export function checkFamily({ group, raw }: ProbeOptions, source?: string): void {
  if (raw === true && isIPv6(group)) throw new UsageError('--raw works with IPv4 only; leave it out for IPv6');
  if (source !== undefined && isIPv6(source) !== isIPv6(group)) {
    throw new UsageError(`--source ${source} and --group ${group}: give both as IPv4 or both as IPv6`);
  }
}

/** Address and port for people. */
export function endpoint({ group, port }: ProbeOptions): string {
  return isIPv6(group) ? `[${group}]:${port}` : `${group}:${port}`;
}

/** Runs until the job is done, and asks it to end at once on Ctrl-C or SIGTERM. */
export async function untilDone<Report>(job: { readonly done: Promise<Report>; stop(): void }): Promise<Report> {
  const stop = (): void => job.stop();
  process.once('SIGINT', stop).once('SIGTERM', stop);
  try {
    return await job.done;
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
  }
}

/** What a person can do about a refusal of the kernel. */
export function explain(thrown: unknown, options: ProbeOptions): CommandFailure {
  if (!(thrown instanceof Error) || !('code' in thrown)) throw thrown;
  const advice: Readonly<Record<string, string>> = {
    EPERM: 'raw packets need the capability CAP_NET_RAW: run it as root (sudo)',
    EAFNOSUPPORT: `give --source an address that this host has`,
    EADDRNOTAVAIL: `give ${options.interface} an address, or name one that this host has`,
    EADDRINUSE: 'another program receives there; end it or take another --port',
    EMSGSIZE: 'give a smaller --size',
    ENETDOWN: `set it up: ip link set ${options.interface} up`,
    ENODEV: `${options.interface} has just gone`,
  };
  const hint = advice[String(thrown.code)];
  return new CommandFailure(`error: ${options.interface}: ${thrown.message}${hint === undefined ? '' : `; ${hint}`}`);
}

/** Aligned lines "name  value" for people. */
export function lines(rows: readonly (readonly [name: string, value: string])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}\n`).join('');
}

/** Numbers for people, and for JSON. */
export const seconds = (nanoseconds: bigint): number => Number(nanoseconds) / 1e9;

export function count(value: bigint): string {
  return value.toLocaleString('en-US');
}

/** Packets per second over the gaps between `packets` packets; `null` if there is no gap. */
export function rateOf(packets: bigint, nanoseconds: bigint): number | null {
  if (packets < 2n || nanoseconds === 0n) return null;
  return Number(packets - 1n) / seconds(nanoseconds);
}
