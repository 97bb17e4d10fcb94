import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Address, assertMayListen, formatAddress, parseListenAddress } from '@mcfleet/common/listen';
import { LOG_LEVELS, type LogLevel } from '@mcfleet/common/log';
import { VERSION } from '@mcfleet/common/version';
import { refusal } from '../errors.ts';
import { readConfigFile } from './config-file.ts';
import { HELP } from './help.ts';
import { parseInterval } from './interval.ts';

/** Settings of the controller program. */
export interface ControllerOptions {
  /** Where the store is. Default: /var/lib/mcfleet/controller as root, else $XDG_STATE_HOME/mcfleet/controller. */
  readonly dataDir: string;
  /** Where the admin API listens. Default: 127.0.0.1:7400. Port 0 takes a free one. */
  readonly adminListen: Address;
  /** Where agents connect. Default: 127.0.0.1:7401. Port 0 takes a free one. */
  readonly agentListen: Address;
  /** The least level that is logged. Default: info. */
  readonly logLevel: LogLevel;
  /** How often agents send heartbeats, in milliseconds. Default: that of sessions. */
  readonly heartbeatMs: number | undefined;
  /** The store was restored from a copy: hosts are to take what it says. Default: false. */
  readonly isRestored: boolean;
}

/** Options of the command line, and keys of the configuration file but for `config`, `help` and `version`. */
const DEFINITIONS = {
  config: { type: 'string' },
  'data-dir': { type: 'string' },
  'admin-listen': { type: 'string' },
  'agent-listen': { type: 'string' },
  store: { type: 'string' },
  'etcd-endpoints': { type: 'string' },
  insecure: { type: 'boolean' },
  'log-level': { type: 'string' },
  'heartbeat-interval': { type: 'string' },
  restored: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean' },
} as const;

/** What was set, by name, from the command line or the file. */
export type Settings = Readonly<Record<string, string | boolean | undefined>>;

/** Takes one thing that is wrong. */
type Wrong = (problem: string) => void;

/**
 * Reads command line and configuration file; the command line wins.
 *
 * @returns a text to print if help or the version is asked for
 * @throws FleetError INVALID_CONFIG with everything that is wrong, a line for each
 */
export function readOptions(args: readonly string[], env: NodeJS.ProcessEnv): ControllerOptions | string {
  const given = parseCommandLine(args);
  if (given.help === true) return HELP;
  if (given.version === true) return `${VERSION}\n`;
  const { config, help, version, ...keys } = DEFINITIONS;
  const path = given.config;
  const problems: string[] = [];
  const wrong = (problem: string): void => void problems.push(problem);
  const fromFile = typeof path === 'string' ? readConfigFile(path, readText(path), keys, wrong) : {};
  const options = resolveOptions({ ...fromFile, ...given }, env, wrong);
  if (options === undefined || problems.length > 0) throw refusal('INVALID_CONFIG', problems.join('\n'));
  return options;
}

function parseCommandLine(args: readonly string[]): Settings {
  try {
    return parseArgs({ args: [...args], options: DEFINITIONS, strict: true, allowPositionals: false }).values;
  } catch (thrown) {
    // The first sentence says what is wrong, the others are about positional arguments, of which there are none.
    const message = thrown instanceof Error ? (thrown.message.split('. ')[0] ?? '') : String(thrown);
    throw refusal('INVALID_CONFIG', `${message.replace(/\.$/, '')}; see mcfleet controller --help`, { cause: thrown });
  }
}

/** Undefined if something is wrong. */
function resolveOptions(settings: Settings, env: NodeJS.ProcessEnv, wrong: Wrong): ControllerOptions | undefined {
  const text = (name: keyof typeof DEFINITIONS, fallback: string): string => String(settings[name] ?? fallback);
  const store = text('store', 'sqlite');
  if (store === 'etcd') wrong('store etcd is not available in this version: use sqlite');
  else if (store !== 'sqlite') wrong(`store ${store} is not known: use sqlite`);
  if (settings['etcd-endpoints'] !== undefined) {
    wrong('etcd-endpoints is for store etcd, which is not available in this version: leave it out');
  }
  const insecure = settings.insecure === true;
  const adminListen = readListen('admin-listen', text('admin-listen', '127.0.0.1:7400'), insecure, wrong);
  const agentListen = readListen('agent-listen', text('agent-listen', '127.0.0.1:7401'), insecure, wrong);
  if (adminListen !== undefined && agentListen !== undefined && areSame(adminListen, agentListen)) {
    wrong(
      `agent-listen ${formatAddress(agentListen)} and admin-listen ${formatAddress(adminListen)} are the same place: give each a port or path of its own`,
    );
  }
  const logLevel = LOG_LEVELS.find((level) => level === text('log-level', 'info'));
  if (logLevel === undefined) {
    wrong(`log-level ${text('log-level', '')} is not known: use one of ${LOG_LEVELS.join(', ')}`);
  }
  const interval = settings['heartbeat-interval'];
  const heartbeatMs =
    interval === undefined
      ? undefined
      : checked(() => parseInterval('heartbeat-interval', String(interval)), '', wrong);
  if (adminListen === undefined || agentListen === undefined || logLevel === undefined) return undefined;
  const dataDir = text('data-dir', defaultDataDir(env));
  return { dataDir, adminListen, agentListen, logLevel, heartbeatMs, isRestored: settings.restored === true };
}

function readListen(name: string, text: string, insecure: boolean, wrong: Wrong): Address | undefined {
  return checked(
    () => {
      const address = parseListenAddress(text);
      assertMayListen(address, { insecure });
      return address;
    },
    `${name}: `,
    wrong,
  );
}

/** What `read` returns; if it throws, undefined, and its message is told with `prefix` before it. */
function checked<T>(read: () => T, prefix: string, wrong: Wrong): T | undefined {
  try {
    return read();
  } catch (thrown) {
    wrong(`${prefix}${thrown instanceof Error ? thrown.message : String(thrown)}`);
    return undefined;
  }
}

/** Whether two listeners cannot be at these addresses at once. */
function areSame(a: Address, b: Address): boolean {
  if (a.kind !== 'tcp' || b.kind !== 'tcp') return formatAddress(a) === formatAddress(b);
  if (a.port === 0 || a.port !== b.port) return false;
  return a.host === b.host || covers(a.host, b.host) || covers(b.host, a.host);
}

/** Whether a listener at `wide` takes `host` too: "::" takes IPv4 as well. */
function covers(wide: string, host: string): boolean {
  if (wide === 'localhost') return host === '127.0.0.1' || host === '::1';
  return wide === '::' || (wide === '0.0.0.0' && !host.includes(':'));
}

function defaultDataDir(env: NodeJS.ProcessEnv): string {
  if (process.getuid?.() === 0) return '/var/lib/mcfleet/controller';
  return join(env.XDG_STATE_HOME || join(homedir(), '.local', 'state'), 'mcfleet', 'controller');
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (thrown) {
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    throw refusal('INVALID_CONFIG', `cannot read the configuration file ${path}: ${message}`, { cause: thrown });
  }
}
