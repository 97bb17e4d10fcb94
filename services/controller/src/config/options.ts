import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Address, assertMayListen, parseListenAddress } from '@mcfleet/common/listen';
import { LOG_LEVELS, type LogLevel } from '@mcfleet/common/log';
import { refusal } from '../errors.ts';
import { readConfigFile } from './config-file.ts';
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

/** Options of the command line, and keys of the configuration file but for `config` and `help`. */
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
} as const;

/** What was set, by name, from the command line or the file. */
export type Settings = Readonly<Record<string, string | boolean | undefined>>;

/**
 * Reads command line and configuration file; the command line wins.
 *
 * @returns undefined if help was asked for
 * @throws FleetError INVALID_CONFIG, INVALID_ADDRESS or INSECURE_LISTENER
 */
export function readOptions(args: readonly string[], env: NodeJS.ProcessEnv): ControllerOptions | undefined {
  const given = parseCommandLine(args);
  if (given.help === true) return undefined;
  const { config, help, ...keys } = DEFINITIONS;
  const path = given.config;
  const fromFile = typeof path === 'string' ? readConfigFile(path, readText(path), keys) : {};
  return resolveOptions({ ...fromFile, ...given }, env);
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

function resolveOptions(settings: Settings, env: NodeJS.ProcessEnv): ControllerOptions {
  const text = (name: keyof typeof DEFINITIONS, fallback: string): string => String(settings[name] ?? fallback);
  const store = text('store', 'sqlite');
  if (store === 'etcd') throw refusal('INVALID_CONFIG', 'store etcd is not available in this version: use sqlite');
  if (store !== 'sqlite') throw refusal('INVALID_CONFIG', `store ${store} is not known: use sqlite`);
  if (settings['etcd-endpoints'] !== undefined) {
    throw refusal(
      'INVALID_CONFIG',
      'etcd-endpoints is for store etcd, which is not available in this version: leave it out',
    );
  }
  const logLevel = LOG_LEVELS.find((level) => level === text('log-level', 'info'));
  if (logLevel === undefined) {
    throw refusal(
      'INVALID_CONFIG',
      `log-level ${text('log-level', '')} is not known: use one of ${LOG_LEVELS.join(', ')}`,
    );
  }
  const insecure = settings.insecure === true;
  const interval = settings['heartbeat-interval'];
  return {
    dataDir: text('data-dir', defaultDataDir(env)),
    adminListen: readListen('admin-listen', text('admin-listen', '127.0.0.1:7400'), insecure),
    agentListen: readListen('agent-listen', text('agent-listen', '127.0.0.1:7401'), insecure),
    logLevel,
    heartbeatMs: interval === undefined ? undefined : parseInterval('heartbeat-interval', String(interval)),
    isRestored: settings.restored === true,
  };
}

function readListen(name: string, text: string, insecure: boolean): Address {
  try {
    const address = parseListenAddress(text);
    assertMayListen(address, { insecure });
    return address;
  } catch (thrown) {
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    throw refusal('INVALID_CONFIG', `${name}: ${message}`, { cause: thrown });
  }
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
