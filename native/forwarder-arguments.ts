import type { ForwarderOptions } from './forwarder.ts';
import { DEFAULT_RING_MS, RING_PACKETS_PER_MS, RING_SLOT_BYTES, ringBytesFor } from './ring-size.ts';
import { TRANSMIT_REQUESTS } from './transmit.ts';

// ForwarderOptions on a command line: of `mcfleet dataplane`, and of `mcfleet agent` for the data plane that it starts.

const MIN_RING_MS = 2;
const MAX_RING_MS = 3000;
const MIN_RING_BYTES = 256 * 1024;
const MAX_RING_BYTES = 1024 * 1024 * 1024;
const MAX_BUSY_POLL_US = 1000;
const MAX_WORKERS = 16;
/** CONFIG_NR_CPUS of the kernels that distributions build. */
const MAX_CPU = 8191;

/** For parseArgs of node:util. */
export const FORWARDER_ARGUMENTS = {
  'ring-ms': { type: 'string' },
  'ring-bytes': { type: 'string' },
  'busy-poll-us': { type: 'string' },
  workers: { type: 'string' },
  cpus: { type: 'string' },
  transmit: { type: 'string' },
  'exclusive-input': { type: 'boolean' },
} as const;

type Definitions = typeof FORWARDER_ARGUMENTS;

/** What was given, as parseArgs reads it. */
export type ForwarderArguments = {
  readonly [Name in keyof Definitions]?: Definitions[Name] extends { type: 'boolean' } ? boolean : string;
};

/** How each is written, and what it means. */
const HELP: readonly (readonly [written: string, meaning: string])[] = [
  [
    '--ring-ms N',
    `for how long each input's receive ring holds ${RING_PACKETS_PER_MS * 1000} packets a second while nobody reads it, in milliseconds, ` +
      `${MIN_RING_MS} to ${MAX_RING_MS}; default ${DEFAULT_RING_MS}, which is ${Math.ceil(ringBytesFor(DEFAULT_RING_MS) / 1024 ** 2)} MiB. ` +
      "All rings together have at most half of the host's memory: a data plane of which one input would need more does not start",
  ],
  ['--ring-bytes N', `the same in bytes, ${RING_SLOT_BYTES} for each packet, ${MIN_RING_BYTES} to ${MAX_RING_BYTES}`],
  [
    '--busy-poll-us N',
    `microseconds for which the data plane looks for packets before it sleeps, 0 to ${MAX_BUSY_POLL_US}; default 0: when idle it uses no ` +
      'processor time. More makes packets faster by the time of a wake-up, and costs up to one core for each worker',
  ],
  [
    '--workers N',
    `packet threads, 1 to ${MAX_WORKERS}; default 1. Packets of an input are spread over them by destination address, so that those of a ` +
      'flow (addresses and ports) stay in order. Each has a ring of its own',
  ],
  ['--cpus LIST', 'keeps each packet thread on one CPU, in this order: as many as --workers, for example 2,3 or 0-3'],
  [
    '--transmit HOW',
    `${TRANSMIT_REQUESTS.join(', ')}: how copies are sent; default auto, which is gso (several datagrams at once) where the kernel ` +
      "and the interface's queue discipline take that whole. To unicast addresses auto heeds the host's rules: with nftables or iptables " +
      'it sends through UDP sockets, of IPv4 only what is of inputs whose relays all keep duplicates, and the rest, as all with IPsec or ' +
      'routing rules, one by one; gso sends past them all. ' +
      'sendmmsg and io_uring send one by one; io_uring is for outputs to groups, those to unicast addresses use sendmmsg then, as all do ' +
      'where io_uring is forbidden or too old. Status tells what is used and why',
  ],
  [
    '--exclusive-input',
    "keeps what relays take from an interface from this host's own IP stack: its programs, its multicast routing, and bridges and macvlans " +
      'on that interface do not get it, unless relays take from these as well. For hosts that only relay: it saves processor time where packets arrive. The host gets as without ' +
      'it: fragments, packets with IP options or IPv6 extension headers, and what relays take that have sources, a VLAN, or all ports of a ' +
      'unicast address. It ends with the data plane. It needs Linux 6.6, CAP_BPF and CAP_NET_ADMIN; where it cannot be had, relays ' +
      'forward as without it, and Status tells why',
  ],
];

/** They all, for a line of usage. */
export const FORWARDER_USAGE =
  '[--ring-ms N | --ring-bytes N] [--busy-poll-us N] [--workers N] [--cpus LIST] [--transmit HOW] [--exclusive-input]';

/**
 * Help for them, a paragraph each.
 *
 * @param indent column at which the meanings begin
 * @param width of a line
 */
export function forwarderHelp(indent: number, width = 132): string {
  return HELP.map(([written, meaning]) => {
    const lines = wrap(meaning, width - indent);
    return `  ${written}`.padEnd(indent) + lines.join(`\n${' '.repeat(indent)}`);
  }).join('\n');
}

/** What is wrong with one of them. */
export interface ArgumentProblem {
  /** With its dashes. */
  readonly option: string;
  /** Follows its name in a sentence. */
  readonly problem: string;
}

/** Reads them. Each problem is told; the options are good if there is none. */
export function readForwarderArguments(values: ForwarderArguments): {
  readonly options: Required<ForwarderOptions>;
  readonly problems: readonly ArgumentProblem[];
} {
  const problems: ArgumentProblem[] = [];
  const wrong: Wrong = (option, problem) => void problems.push({ option, problem });
  const busyPoll = ['--busy-poll-us', values['busy-poll-us'], 'microseconds', [0, MAX_BUSY_POLL_US]] as const;
  const workers = readInteger('--workers', values.workers, 'packet threads', [1, MAX_WORKERS], wrong);
  const transmit = TRANSMIT_REQUESTS.find((request) => request === (values.transmit ?? 'auto'));
  if (transmit === undefined)
    wrong('--transmit', `is '${values.transmit}'; it is one of ${TRANSMIT_REQUESTS.join(', ')}`);
  const options = {
    ringBytes: readRingBytes(values, wrong),
    busyPollUs: readInteger(...busyPoll, wrong) ?? 0,
    workers: workers ?? 1,
    // How many there must be is not known if --workers is wrong.
    cpus: values.workers !== undefined && workers === undefined ? [] : readCpus(values.cpus, workers ?? 1, wrong),
    transmit: transmit ?? 'auto',
    exclusiveInput: values['exclusive-input'] === true,
  };
  return { options, problems };
}

/** Those that were given, as arguments for another program that takes them. */
export function writeForwarderArguments(values: ForwarderArguments): string[] {
  const given: Readonly<Record<string, string | boolean | undefined>> = values;
  return Object.keys(FORWARDER_ARGUMENTS).flatMap((name) => {
    const value = given[name];
    if (value === undefined || value === false) return [];
    return value === true ? [`--${name}`] : [`--${name}=${value}`];
  });
}

/** What is formatted: ForwarderOptions, as other programs may tell them. */
export type FormattedOptions = Omit<Required<ForwarderOptions>, 'transmit'> & { readonly transmit: string };

/** All of them as they would be written, defaults too, each as one text: "--workers 2". */
export function formatForwarderOptions(options: FormattedOptions): string[] {
  const { ringBytes, busyPollUs, workers, cpus, transmit, exclusiveInput } = options;
  const ms = ringBytes / ringBytesFor(1);
  return [
    Number.isInteger(ms) ? `--ring-ms ${ms}` : `--ring-bytes ${ringBytes}`,
    `--busy-poll-us ${busyPollUs}`,
    `--workers ${workers}`,
    cpus.length === 0 ? 'no --cpus' : `--cpus ${cpus.join(',')}`,
    `--transmit ${transmit}`,
    exclusiveInput ? '--exclusive-input' : 'no --exclusive-input',
  ];
}

type Wrong = (option: string, problem: string) => void;

function readRingBytes(values: ForwarderArguments, wrong: Wrong): number {
  const bytes = readInteger('--ring-bytes', values['ring-bytes'], 'bytes', [MIN_RING_BYTES, MAX_RING_BYTES], wrong);
  const ms = readInteger('--ring-ms', values['ring-ms'], 'milliseconds', [MIN_RING_MS, MAX_RING_MS], wrong);
  if (bytes !== undefined && ms !== undefined) wrong('--ring-ms', 'and --ring-bytes say the same; give one of them');
  return bytes ?? ringBytesFor(ms ?? DEFAULT_RING_MS);
}

/** A list of numbers and ranges, as taskset(1) takes it. */
function readCpus(text: string | undefined, workers: number, wrong: Wrong): readonly number[] {
  if (text === undefined) return [];
  const cpus: number[] = [];
  for (const part of text.split(',')) {
    const [, first, last = first] = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(part.trim()) ?? [];
    const length = Number(last) - Number(first) + 1;
    if (!(length >= 1 && Number(last) <= MAX_CPU)) {
      wrong('--cpus', `is '${text}'; it is a list of CPUs from 0 to ${MAX_CPU}, for example 2,3 or 0-3`);
      return [];
    }
    for (let cpu = Number(first); cpu <= Number(last); cpu++) cpus.push(cpu);
  }
  if (cpus.length !== workers)
    wrong('--cpus', `names ${cpus.length} CPUs for ${workers} packet threads; give one for each (--workers)`);
  return cpus;
}

/** Undefined if it was not given, or is wrong. */
function readInteger(
  option: string,
  text: string | undefined,
  unit: string,
  [min, max]: readonly [number, number],
  wrong: Wrong,
): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() !== '' && Number.isInteger(value) && value >= min && value <= max) return value;
  wrong(option, `is '${text}'; it is a number of ${unit} from ${min} to ${max}`);
  return undefined;
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
