import { parseArgs } from 'node:util';
import { LOG_LEVELS, type LogLevel } from '@mcfleet/common/log';
import {
  FORWARDER_ARGUMENTS,
  FORWARDER_USAGE,
  type ForwarderArguments,
  type ForwarderOptions,
  forwarderHelp,
  MULTICAST_TABLE_HELP,
  readForwarderArguments,
  readMulticastTable,
} from '@mcfleet/native';

/** What the command line asks for. */
export type Command =
  | { readonly kind: 'run'; readonly options: DataplaneOptions }
  | { readonly kind: 'print'; readonly text: string }
  | { readonly kind: 'usage-error'; readonly message: string };

export interface DataplaneOptions {
  /** Path of the unix socket. */
  readonly socket: string;
  readonly logLevel: LogLevel;
  readonly forwarding: Required<ForwarderOptions>;
  /** Undefined: the kernel's own. */
  readonly mrouteTable: number | undefined;
}

const HELP = `Usage: mcfleet dataplane --socket PATH [--log-level LEVEL]
         ${FORWARDER_USAGE} [--mroute-table N]

Forwards packets on this host as its agent says. Usually the agent starts it. It needs CAP_NET_RAW, and CAP_NET_ADMIN
for relays of engine KERNEL.

  --socket PATH       unix socket to serve the agent on; its directory is made, its mode is 0600
${forwarderHelp(22)}
  --mroute-table N    ${MULTICAST_TABLE_HELP.join(`\n${' '.repeat(22)}`)}
  --log-level LEVEL   ${LOG_LEVELS.join(', ')}; default info
  --version           print the version
  --help              print this

Examples:
  mcfleet dataplane --socket /run/mcfleet/dataplane.sock
  grpcurl -plaintext unix:///run/mcfleet/dataplane.sock mcfleet.v1.DataplaneService/Status

Exit status: 0 after SIGTERM or SIGINT, 1 failure, 2 usage, 77 without CAP_NET_RAW, 78 if this host cannot do what the options
ask for, for example has not such CPUs, or not twice the memory of such rings.
`;

/** Reads the command line. */
export function parseCommand(args: readonly string[], version: string): Command {
  let values: Values;
  try {
    ({ values } = parseArgs({
      args: [...args],
      options: {
        socket: { type: 'string' },
        ...FORWARDER_ARGUMENTS,
        'mroute-table': { type: 'string' },
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
  return readOptions(values);
}

interface Values extends ForwarderArguments {
  readonly socket?: string;
  readonly 'mroute-table'?: string;
  readonly 'log-level'?: string;
  readonly help?: boolean;
  readonly version?: boolean;
}

function readOptions({ socket, 'log-level': level = 'info', ...values }: Values): Command {
  const { options: forwarding, problems } = readForwarderArguments(values);
  const logLevel = LOG_LEVELS.find((name) => name === level);
  const wrong = problems.map(({ option, problem }) => `${option} ${problem}`);
  const table = values['mroute-table'] === undefined ? undefined : readMulticastTable(values['mroute-table']);
  if (typeof table === 'string') wrong.push(`--mroute-table ${table}`);
  if (!socket) wrong.unshift('--socket PATH is missing');
  if (logLevel === undefined) wrong.push(`--log-level is '${level}'; it is one of ${LOG_LEVELS.join(', ')}`);
  if (!socket || logLevel === undefined || typeof table === 'string' || wrong.length > 0)
    return { kind: 'usage-error', message: wrong.join('\n') };
  return { kind: 'run', options: { socket, logLevel, forwarding, mrouteTable: table } };
}
