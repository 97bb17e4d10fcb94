import { parseArgs } from 'node:util';
import { LOG_LEVELS, type LogLevel } from '@mcfleet/common/log';
import {
  DEFAULT_RING_MS,
  RING_PACKETS_PER_MS,
  RING_SLOT_BYTES,
  ringBytesFor,
  TRANSMIT_REQUESTS,
  type TransmitRequest,
} from '@mcfleet/native';

/** What the command line asks for. */
export type Command =
  | { readonly kind: 'run'; readonly options: DataplaneOptions }
  | { readonly kind: 'print'; readonly text: string }
  | { readonly kind: 'usage-error'; readonly message: string };

export interface DataplaneOptions {
  /** Path of the unix socket. */
  readonly socket: string;
  /** Bytes of each input's receive ring. */
  readonly ringBytes: number;
  /** How outputs to groups send. */
  readonly transmit: TransmitRequest;
  /** Microseconds for which the packet thread looks for packets before it sleeps. */
  readonly busyPollUs: number;
  /** Packet threads. */
  readonly workers: number;
  /** Where each of them runs; empty: anywhere. */
  readonly cpus: readonly number[];
  readonly logLevel: LogLevel;
}

const MIN_RING_MS = 2;
const MAX_RING_MS = 3000;
const MIN_RING_BYTES = 256 * 1024;
const MAX_RING_BYTES = 1024 * 1024 * 1024;
const MAX_BUSY_POLL_US = 1000;
const MAX_WORKERS = 16;
/** CONFIG_NR_CPUS of the kernels that distributions build. */
const MAX_CPU = 8191;

const HELP = `Usage: mcfleet dataplane --socket PATH [--ring-ms N | --ring-bytes N] [--busy-poll-us N] [--workers N] [--cpus LIST]
                         [--transmit HOW] [--log-level LEVEL]

Forwards packets on this host as its agent says. Usually the agent starts it. It needs CAP_NET_RAW.

  --socket PATH       unix socket to serve the agent on; its directory is made, its mode is 0600
  --ring-ms N         for how long each input's receive ring holds ${RING_PACKETS_PER_MS * 1000} packets a second while nobody reads it, in milliseconds,
                      ${MIN_RING_MS} to ${MAX_RING_MS}; default ${DEFAULT_RING_MS}, which is ${Math.ceil(ringBytesFor(DEFAULT_RING_MS) / 1024 ** 2)} MiB
  --ring-bytes N      the same in bytes, ${RING_SLOT_BYTES} for each packet, ${MIN_RING_BYTES} to ${MAX_RING_BYTES}
  --busy-poll-us N    microseconds for which it looks for packets before it sleeps, 0 to ${MAX_BUSY_POLL_US}; default 0: when idle it uses no
                      processor time. More makes packets faster by the time of a wake-up, and costs up to one core
  --workers N         packet threads, 1 to ${MAX_WORKERS}; default 1. Packets of an input are spread over them by destination address, so that
                      those to one address stay in order. Each has a ring of its own
  --cpus LIST         keeps each packet thread on one CPU, in this order: as many as --workers, for example 2,3 or 0-3
  --transmit HOW      ${TRANSMIT_REQUESTS.join(', ')}: how copies are sent; default auto, which is gso (several datagrams at once)
                      where the kernel takes that, and to unicast addresses only where the host has no nftables, iptables, IPsec
                      or routing rules, which such frames pass by. sendmmsg and io_uring send one by one; where io_uring is
                      forbidden or too old, sendmmsg is used. Status tells what is used and why
  --log-level LEVEL   ${LOG_LEVELS.join(', ')}; default info
  --version           print the version
  --help              print this

Examples:
  mcfleet dataplane --socket /run/mcfleet/dataplane.sock
  grpcurl -plaintext unix:///run/mcfleet/dataplane.sock mcfleet.v1.DataplaneService/Status

Exit status: 0 after SIGTERM or SIGINT, 1 failure, 2 usage, 77 without CAP_NET_RAW.
`;

/** Reads the command line. */
export function parseCommand(args: readonly string[], version: string): Command {
  let values: Values;
  try {
    ({ values } = parseArgs({
      args: [...args],
      options: {
        socket: { type: 'string' },
        'ring-ms': { type: 'string' },
        'ring-bytes': { type: 'string' },
        'busy-poll-us': { type: 'string' },
        workers: { type: 'string' },
        cpus: { type: 'string' },
        transmit: { type: 'string' },
        'log-level': { type: 'string' },
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean' },
      },
    }));
  } catch (error) {
    return { kind: 'usage-error', message: error instanceof Error ? error.message : String(error) };
  }
  if (values.help) return { kind: 'print', text: HELP };
  if (values.version) return { kind: 'print', text: `${version}\n` };

  try {
    return { kind: 'run', options: readOptions(values) };
  } catch (error) {
    if (error instanceof UsageError) return { kind: 'usage-error', message: error.message };
    throw error;
  }
}

interface Values {
  readonly socket?: string;
  readonly 'ring-ms'?: string;
  readonly 'ring-bytes'?: string;
  readonly 'busy-poll-us'?: string;
  readonly workers?: string;
  readonly cpus?: string;
  readonly transmit?: string;
  readonly 'log-level'?: string;
  readonly help?: boolean;
  readonly version?: boolean;
}

class UsageError extends Error {}

function readOptions({ socket, transmit = 'auto', 'log-level': level = 'info', ...numbers }: Values): DataplaneOptions {
  if (!socket) throw new UsageError('--socket PATH is missing');
  const workers = readInteger('--workers', numbers.workers, 'packet threads', [1, MAX_WORKERS]) ?? 1;
  return {
    socket,
    ringBytes: readRingBytes(numbers),
    transmit: readChoice('--transmit', TRANSMIT_REQUESTS, transmit),
    busyPollUs: readInteger('--busy-poll-us', numbers['busy-poll-us'], 'microseconds', [0, MAX_BUSY_POLL_US]) ?? 0,
    workers,
    cpus: readCpus(numbers.cpus, workers),
    logLevel: readChoice('--log-level', LOG_LEVELS, level),
  };
}

function readRingBytes(values: Values): number {
  const bytes = readInteger('--ring-bytes', values['ring-bytes'], 'bytes', [MIN_RING_BYTES, MAX_RING_BYTES]);
  const ms = readInteger('--ring-ms', values['ring-ms'], 'milliseconds', [MIN_RING_MS, MAX_RING_MS]);
  if (bytes !== undefined && ms !== undefined)
    throw new UsageError('--ring-ms and --ring-bytes say the same; give one of them');
  return bytes ?? ringBytesFor(ms ?? DEFAULT_RING_MS);
}

/** A list of numbers and ranges, as taskset(1) takes it. */
function readCpus(text: string | undefined, workers: number): readonly number[] {
  if (text === undefined) return [];
  const cpus = text.split(',').flatMap((part) => {
    const [, first, last = first] = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(part.trim()) ?? [];
    const length = Number(last) - Number(first) + 1;
    if (!(length >= 1 && Number(last) <= MAX_CPU))
      throw new UsageError(`--cpus is '${text}'; it is a list of CPUs from 0 to ${MAX_CPU}, for example 2,3 or 0-3`);
    return Array.from({ length }, (_, i) => Number(first) + i);
  });
  if (cpus.length !== workers)
    throw new UsageError(
      `--cpus names ${cpus.length} CPUs for ${workers} packet threads; give one for each (--workers)`,
    );
  return cpus;
}

function readInteger(
  option: string,
  text: string | undefined,
  unit: string,
  [min, max]: readonly [number, number],
): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() === '' || !Number.isInteger(value) || value < min || value > max)
    throw new UsageError(`${option} is '${text}'; it is a number of ${unit} from ${min} to ${max}`);
  return value;
}

function readChoice<Choice extends string>(option: string, choices: readonly Choice[], text: string): Choice {
  const choice = choices.find((name) => name === text);
  if (choice === undefined) throw new UsageError(`${option} is '${text}'; it is one of ${choices.join(', ')}`);
  return choice;
}
