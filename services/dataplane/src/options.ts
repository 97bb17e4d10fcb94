import { parseArgs } from 'node:util';
import { LOG_LEVELS, type LogLevel } from '@mcfleet/common/log';

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
  readonly logLevel: LogLevel;
}

/** 32 MiB hold 16,384 packets of 1316 bytes: a tenth of a second at 150,000 per second. */
/** A quarter of a second at 150,000 packets per second, in slots of 2048 bytes. */
const DEFAULT_RING_BYTES = 75 * 1024 * 1024;
const MIN_RING_BYTES = 256 * 1024;
const MAX_RING_BYTES = 1024 * 1024 * 1024;

const HELP = `Usage: mcfleet dataplane --socket PATH [--ring-bytes N] [--log-level LEVEL]

Forwards packets on this host as its agent says. Usually the agent starts it. It needs CAP_NET_RAW.

  --socket PATH       unix socket to serve the agent on; its directory is made, its mode is 0600
  --ring-bytes N      bytes of each input's receive ring, ${MIN_RING_BYTES} to ${MAX_RING_BYTES}; default ${DEFAULT_RING_BYTES}
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
  let values: { socket?: string; 'ring-bytes'?: string; 'log-level'?: string; help?: boolean; version?: boolean };
  try {
    ({ values } = parseArgs({
      args: [...args],
      options: {
        socket: { type: 'string' },
        'ring-bytes': { type: 'string' },
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

  const { socket, 'ring-bytes': ringText, 'log-level': level = 'info' } = values;
  if (!socket) return { kind: 'usage-error', message: '--socket PATH is missing' };
  const ringBytes = ringText === undefined ? DEFAULT_RING_BYTES : Number(ringText);
  if (!Number.isInteger(ringBytes) || ringBytes < MIN_RING_BYTES || ringBytes > MAX_RING_BYTES) {
    const message = `--ring-bytes is '${ringText}'; it is a number of bytes from ${MIN_RING_BYTES} to ${MAX_RING_BYTES}`;
    return { kind: 'usage-error', message };
  }
  const logLevel = LOG_LEVELS.find((name) => name === level);
  if (logLevel === undefined) {
    return { kind: 'usage-error', message: `--log-level is '${level}'; it is one of ${LOG_LEVELS.join(', ')}` };
  }
  return { kind: 'run', options: { socket, ringBytes, logLevel } };
}
