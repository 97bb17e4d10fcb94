import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { Backoff } from '@mcfleet/common/backoff';
import type { Clock } from '@mcfleet/common/clock';
import { FleetError } from '@mcfleet/common/error';
import type { Logger } from '@mcfleet/common/log';
import { isCode, readRegularFile, writeDurably } from './durable-file.ts';
import { EMPTY_STATE, type HeldState } from './held-state.ts';
import { decodeStateFile, encodeStateFile } from './state-file.ts';

const FILE_NAME = 'state.bin';
/** A state file without assignments, written where cluster or term changed. */
const CLUSTER_FILE_NAME = 'cluster.bin';
const RETRY_INITIAL_MS = 1_000;
const RETRY_MAX_MS = 30_000;

export interface StateStoreOptions {
  /** The state directory; made if it is missing. */
  readonly directory: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Told when writing fails (why) and when it works again (''). */
  readonly onHealth: (message: string) => void;
}

/**
 * The last good state on disk. A write is atomic and durable. Beside it, in a file of its own, stands to which cluster the host
 * belongs: a host that loses its state shall not take that of another cluster for its own.
 *
 * Single writer. While one write runs, only the newest state waits; states between are skipped, as nobody shall ever boot from
 * them. A write that fails is tried again with back-off until it or a newer one succeeds; the state in memory is in force meanwhile.
 */
export class StateStore {
  readonly #options: StateStoreOptions;
  readonly #path: string;
  readonly #clusterPath: string;
  /** What the file of the cluster holds, if it is known. */
  #storedCluster: HeldState | undefined;
  readonly #backoff = new Backoff({ initialMs: RETRY_INITIAL_MS, maxMs: RETRY_MAX_MS });
  #pending: { state: HeldState; done: (() => void)[] } | undefined;
  #writing: Promise<void> | undefined;
  #failure = '';
  #retry: { clear(): void } | undefined;

  constructor(options: StateStoreOptions) {
    this.#options = options;
    this.#path = join(options.directory, FILE_NAME);
    this.#clusterPath = join(options.directory, CLUSTER_FILE_NAME);
  }

  /** Why the newest state is not on disk; empty if it is. */
  get failure(): string {
    return this.#failure;
  }

  /**
   * Reads the last good state; without one a state that holds nothing, but still belongs to the cluster that the host is known to
   * belong to. What is not a whole state file is set aside as "state.bin.corrupt-<time>", for whoever wants to know what happened
   * to the disk, and the controller sends its content again.
   */
  async load(): Promise<HeldState> {
    this.#storedCluster = await this.#read(this.#clusterPath);
    return (await this.#read(this.#path)) ?? this.#storedCluster ?? EMPTY_STATE;
  }

  async #read(path: string): Promise<HeldState | undefined> {
    try {
      return decodeStateFile(await readRegularFile(path));
    } catch (thrown) {
      if (thrown instanceof FleetError) await this.#setAside(path, thrown);
      else if (!isCode(thrown, 'ENOENT'))
        this.#options.log.error({ err: thrown, file: path }, 'cannot read the stored state; start without it');
      return undefined;
    }
  }

  async #setAside(path: string, error: FleetError): Promise<void> {
    const aside = `${path}.corrupt-${new Date(this.#options.clock.now()).toISOString().replaceAll(':', '')}`;
    const fields = { file: path, set_aside_as: aside, reason: error.reason, detail: error.message };
    try {
      await rename(path, aside);
      this.#options.log.error(
        fields,
        'the stored state is not usable and was set aside; the controller will send it again',
      );
    } catch (thrown) {
      this.#options.log.error({ ...fields, err: thrown }, 'the stored state is not usable and could not be set aside');
    }
  }

  /** Resolves when this state, or one saved after it, is on disk or has failed to get there. Never rejects: see `failure`. */
  save(state: HeldState): Promise<void> {
    const done = Promise.withResolvers<void>();
    this.#pending = { state, done: [...(this.#pending?.done ?? []), done.resolve] };
    this.#retry?.clear();
    this.#retry = undefined;
    this.#writing ??= this.#drain();
    return done.promise;
  }

  /** Waits for a running write and gives up retries. */
  async close(): Promise<void> {
    this.#retry?.clear();
    this.#retry = undefined;
    await this.#writing;
  }

  async #drain(): Promise<void> {
    let failed: HeldState | undefined;
    while (this.#pending !== undefined) {
      const { state, done } = this.#pending;
      this.#pending = undefined;
      failed = (await this.#write(state)) ? undefined : state;
      for (const resolve of done) resolve();
    }
    this.#writing = undefined;
    if (failed !== undefined) {
      const again = failed;
      this.#retry = this.#options.clock.setTimeout(() => void this.save(again), this.#backoff.next());
    }
  }

  async #write(state: HeldState): Promise<boolean> {
    try {
      await this.#writeCluster({ ...EMPTY_STATE, clusterUid: state.clusterUid, term: state.term });
      await writeDurably(this.#options.directory, this.#path, encodeStateFile(state));
    } catch (thrown) {
      this.#setFailure(describe(thrown, this.#options.directory));
      return false;
    }
    this.#backoff.reset();
    this.#setFailure('');
    return true;
  }

  async #writeCluster(cluster: HeldState): Promise<void> {
    const stored = this.#storedCluster;
    if (stored?.clusterUid === cluster.clusterUid && stored.term === cluster.term) return;
    await writeDurably(this.#options.directory, this.#clusterPath, encodeStateFile(cluster));
    this.#storedCluster = cluster;
  }

  #setFailure(message: string): void {
    if (message === this.#failure) return;
    this.#failure = message;
    if (message === '') this.#options.log.info({ file: this.#path }, 'the state is on disk again');
    else
      this.#options.log.error(
        { file: this.#path, detail: message },
        'cannot store the state; forwarding goes on from memory',
      );
    this.#options.onHealth(message);
  }
}

function describe(thrown: unknown, directory: string): string {
  const detail = thrown instanceof Error ? thrown.message : String(thrown);
  if (isCode(thrown, 'ENOSPC') || isCode(thrown, 'EDQUOT'))
    return `no space left under ${directory}; free some (${detail})`;
  if (isCode(thrown, 'EROFS') || isCode(thrown, 'EACCES'))
    return `${directory} is not writable; make it so (${detail})`;
  return `cannot write under ${directory} (${detail})`;
}
