import { type ConfFiles, readConf } from './conf.ts';
import { relaysOf } from './relays.ts';
import { type RouteOptions, routesOf } from './routes.ts';
import { type Target, writeRelays } from './write.ts';

/** How a configuration is understood, and whom its relays are for. */
export interface ImportOptions extends RouteOptions, Target {
  /** Relays that one line becomes at most. */
  readonly expand: number;
}

/** What became of a configuration. */
export interface Imported {
  /** Relay documents, with comments. */
  readonly documents: string;
  readonly relays: number;
  /** Lines that say something, comments and empty lines aside. */
  readonly lines: number;
}

/**
 * Makes relay documents of a configuration of smcroute.
 *
 * @throws RefusedConf with all that smcroute refuses; what `files.read` throws
 */
export function importSmcroute(path: string, files: ConfFiles, options: ImportOptions): Imported {
  const lines = readConf(path, files);
  const relays = relaysOf(routesOf(lines, options), options.expand);
  return {
    documents: writeRelays(lines, relays, options),
    relays: relays.drafts.length,
    lines: lines.length,
  };
}
