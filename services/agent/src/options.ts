import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { status } from '@grpc/grpc-js';
import { type FieldViolation, FleetError } from '@mcfleet/common/error';
import { type Address, formatAddress, parseListenAddress } from '@mcfleet/common/listen';
import { LOG_LEVELS, type LogLevel } from '@mcfleet/common/log';
import { isUuid } from '@mcfleet/common/uuid';
import { VERSION } from '@mcfleet/common/version';
import {
  FORWARDER_ARGUMENTS,
  type ForwarderArguments,
  type ForwarderOptions,
  forwarderHelp,
  MULTICAST_TABLE_HELP,
  readForwarderArguments,
  readMulticastTable,
  writeForwarderArguments,
} from '@mcfleet/native';
import { assertMayConnect, parseControllers } from './session/controller-address.ts';

/** What the agent was started with, defaults filled in. */
export interface AgentOptions {
  /** The host's name. */
  readonly name: string;
  /** At least one. */
  readonly controllers: readonly Address[];
  readonly stateDir: string;
  readonly dataplaneSocket: string;
  readonly labels: Readonly<Record<string, string>>;
  /** The cluster that may take the place of the one that the stored state came from; empty: none. */
  readonly adoptCluster: string;
  /** For a data plane that it starts. */
  readonly dataplane: DataplaneArguments;
  readonly logLevel: LogLevel;
}

/** What the agent wants of its data plane. */
export interface DataplaneArguments {
  /** Defaults filled in. */
  readonly options: Required<ForwarderOptions>;
  /** Multicast routing table for relays of engine KERNEL; undefined: the kernel's own. */
  readonly mrouteTable: number | undefined;
  /** What of it was given, for `mcfleet dataplane`. */
  readonly arguments: readonly string[];
}

/** Where the defaults come from. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly uid: number;
}

export const USAGE = `Usage: mcfleet agent --name HOST --controller ADDR[,ADDR...] [options]

Runs the agent of one host: holds a session to the controller, keeps the desired state on disk, and makes the host's data plane
forward accordingly. It starts the data plane, or adopts one that runs, and restarts it when it dies.

Options:
  --name HOST                  the host's name in the fleet, for example edge-1 (required)
  --controller ADDR[,ADDR...]  HOST:PORT of the controller's agent listener; several are tried in turn (required)
  --state-dir DIR              where the last good state is kept; one agent per directory
                               default: /var/lib/mcfleet/agent as root, else $XDG_STATE_HOME/mcfleet/agent
  --dataplane-socket PATH      unix socket of the data plane
                               default: /run/mcfleet/dataplane.sock as root, else STATE_DIR/dataplane.sock
  --labels KEY=VALUE,...       labels of this host, for relays that select hosts by label
  --adopt-cluster UID          let the controller of this cluster replace what the host holds of another one; without it the agent
                               goes on with what it holds and refuses that controller. A host that never met one takes any
  --insecure                   allow a plain-text session to a controller on another machine
  --log-level LEVEL            ${LOG_LEVELS.join(', ')}; default info
  --version                    print the version
  --help                       print this

Options of the data plane that it starts, and starts again; one that it adopts goes on with those that it was started with:
${forwarderHelp(31)}
  --mroute-table N             ${MULTICAST_TABLE_HELP.join(`\n${' '.repeat(31)}`)}

The data plane goes on when the agent stops (SIGTERM) or dies, so packets do not notice; the next agent adopts it. To end forwarding
on this host, stop the agent first and then the data plane, by the process id that the agent logs as dataplane_pid.
Both log to stderr, as JSON: a pipe there is not at its end before the data plane has ended as well.

Examples:
  mcfleet agent --name edge-1 --controller 127.0.0.1:7401
  mcfleet agent --name edge-1 --controller 10.0.0.5:7401,10.0.0.6:7401 --insecure --labels site=studio-2,role=edge
`;

/** HostName as in mcfleet/v1/host.proto. */
const HOST_NAME = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;
/** Kubernetes label syntax: an optional DNS prefix and a name; values of at most 63 characters. */
const LABEL_KEY = /^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/;
const LABEL_VALUE = /^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$/;
const MAX_LABELS = 64;

/**
 * Reads the command line.
 *
 * @returns a text to print if help or the version is asked for.
 * @throws FleetError INVALID_ARGUMENT (USAGE) with everything that is wrong: each violation names the option and the value.
 */
export function parseAgentOptions(argv: readonly string[], around: Surroundings): AgentOptions | string {
  const violations: FieldViolation[] = [];
  const wrong = (field: string, description: string): void => void violations.push({ field, description });
  const values = readArguments(argv);
  if (values.help === true) return USAGE;
  if (values.version === true) return `${VERSION}\n`;

  const name = values.name ?? '';
  if (values.name === undefined) wrong('--name', 'is required: the name of this host, for example --name edge-1');
  else if (!HOST_NAME.test(name))
    wrong('--name', `'${name}' is no host name; write lower case letters, digits, '-' and '.', for example edge-1`);

  const controllers = readControllers(values.controller, values.insecure === true, wrong);
  const labels = readLabels(values.labels ?? '', wrong);
  const logLevel = values['log-level'] ?? 'info';
  if (!isLogLevel(logLevel)) wrong('--log-level', `'${logLevel}' is no level; write one of ${LOG_LEVELS.join(', ')}`);
  for (const option of ['state-dir', 'dataplane-socket'] as const) {
    if (values[option] === '') wrong(`--${option}`, "'' is no path");
  }
  const adoptCluster = values['adopt-cluster']?.toLowerCase();
  if (adoptCluster !== undefined && !isUuid(adoptCluster)) {
    wrong(
      '--adopt-cluster',
      `'${adoptCluster}' is no cluster; write the uid that mcfleet describe host names, 36 characters such as 019a1b2c-3d4e-7f60-8a9b-0c1d2e3f4a5b`,
    );
  }
  const stateDir = resolve(values['state-dir'] || defaultStateDir(around));
  const dataplaneSocket = resolve(
    values['dataplane-socket'] || (around.uid === 0 ? '/run/mcfleet/dataplane.sock' : join(stateDir, 'dataplane.sock')),
  );
  checked(() => parseListenAddress(`unix:${dataplaneSocket}`), '--dataplane-socket', wrong);
  const { options, problems } = readForwarderArguments(values);
  for (const { option, problem } of problems) wrong(option, problem);
  const table = values['mroute-table'] === undefined ? undefined : readMulticastTable(values['mroute-table']);
  if (typeof table === 'string') wrong('--mroute-table', table);

  if (violations.length > 0 || !isLogLevel(logLevel) || typeof table === 'string') {
    throw usage(violations);
  }
  const ofTable = table === undefined ? [] : [`--mroute-table=${table}`];
  const dataplane = { options, mrouteTable: table, arguments: [...writeForwarderArguments(values), ...ofTable] };
  return {
    ...{ name, controllers, stateDir, dataplaneSocket, labels, dataplane, logLevel },
    adoptCluster: adoptCluster ?? '',
  };
}

function usage(violations: readonly FieldViolation[]): FleetError {
  return new FleetError({
    code: status.INVALID_ARGUMENT,
    reason: 'USAGE',
    message: violations.map(({ field, description }) => `${field}: ${description}`).join('\n'),
    violations,
  });
}

type Wrong = (field: string, description: string) => void;

interface Arguments extends ForwarderArguments {
  readonly name?: string;
  readonly controller?: string;
  readonly 'state-dir'?: string;
  readonly 'dataplane-socket'?: string;
  readonly labels?: string;
  readonly 'adopt-cluster'?: string;
  readonly 'mroute-table'?: string;
  readonly insecure?: boolean;
  readonly 'log-level'?: string;
  readonly help?: boolean;
  readonly version?: boolean;
}

function readArguments(argv: readonly string[]): Arguments {
  const options = {
    name: { type: 'string' },
    controller: { type: 'string' },
    'state-dir': { type: 'string' },
    'dataplane-socket': { type: 'string' },
    labels: { type: 'string' },
    'adopt-cluster': { type: 'string' },
    ...FORWARDER_ARGUMENTS,
    'mroute-table': { type: 'string' },
    insecure: { type: 'boolean' },
    'log-level': { type: 'string' },
    help: { type: 'boolean', short: 'h' },
    version: { type: 'boolean' },
  } as const;
  try {
    return parseArgs({ args: [...argv], options, strict: true, allowPositionals: false }).values;
  } catch (thrown) {
    // parseArgs names the option or argument; the first sentence is for people, the rest about its own API.
    const [message] = (thrown instanceof Error ? thrown.message : String(thrown)).split(/\. |\n/);
    throw usage([{ field: 'arguments', description: message ?? 'cannot be read' }]);
  }
}

function readControllers(text: string | undefined, insecure: boolean, wrong: Wrong): Address[] {
  if (text === undefined) {
    wrong('--controller', 'is required: the address of the controller, for example --controller 127.0.0.1:7401');
    return [];
  }
  const controllers = checked(() => parseControllers(text), '--controller', wrong) ?? [];
  if (text.replaceAll(/[,\s]/g, '') === '') wrong('--controller', `'${text}' names no controller`);
  for (const address of controllers) {
    if (address.kind === 'tcp' && address.port === 0) {
      wrong(
        '--controller',
        `'${formatAddress(address)}' has port 0; write the port of the controller's agent listener, 7401 by default`,
      );
    } else {
      checked(() => assertMayConnect(address, { insecure }), '--controller', wrong);
    }
  }
  return controllers;
}

function readLabels(text: string, wrong: Wrong): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const pair of text.split(',').filter((part) => part !== '')) {
    const at = pair.indexOf('=');
    const key = pair.slice(0, at);
    const value = pair.slice(at + 1);
    if (at < 0) wrong('--labels', `'${pair}' is no label; write KEY=VALUE`);
    else if (!LABEL_KEY.test(key))
      wrong('--labels', `'${key}' is no label key; write letters, digits, '-', '_' and '.', at most 63`);
    else if (!LABEL_VALUE.test(value))
      wrong('--labels', `'${value}' is no value for ${key}; write letters, digits, '-', '_' and '.', at most 63`);
    else if (Object.hasOwn(labels, key)) wrong('--labels', `'${key}' is given twice`);
    else labels[key] = value;
  }
  if (Object.keys(labels).length > MAX_LABELS) wrong('--labels', `has more than ${MAX_LABELS} labels`);
  return labels;
}

function defaultStateDir({ env, uid }: Surroundings): string {
  if (uid === 0) return '/var/lib/mcfleet/agent';
  return join(env.XDG_STATE_HOME || join(env.HOME ?? '.', '.local/state'), 'mcfleet/agent');
}

function checked<T>(read: () => T, field: string, wrong: Wrong): T | undefined {
  try {
    return read();
  } catch (thrown) {
    wrong(field, FleetError.from(thrown).message);
    return undefined;
  }
}

function isLogLevel(text: string): text is LogLevel {
  return (LOG_LEVELS as readonly string[]).includes(text);
}
