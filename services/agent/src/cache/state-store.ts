import { constants } from 'node:fs';
import { open, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { Backoff } from '@mcfleet/common/backoff';
import type { Clock } from '@mcfleet/common/clock';
import { makeDirectory } from '@mcfleet/common/directory';
import { FleetError } from '@mcfleet/common/error';
import type { Logger } from '@mcfleet/common/log';
import { EMPTY_STATE, type HeldState } from './held-state.ts';
import { corruptStateFile, decodeStateFile, encodeStateFile } from './state-file.ts';

const FILE_NAME = 'state.bin';
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
 * The last good state on disk. A write is atomic and durable: temporary file, fsync, rename, fsync of the directory.
 *
 * Single writer. While one write runs, only the newest state waits; states between are skipped, as nobody shall ever boot from
 * them. A write that fails is tried again with back-off until it or a newer one succeeds; the state in memory is in force meanwhile.
 */
export class StateStore {
  readonly #options: StateStoreOptions;
  readonly #path: string;
  readonly #backoff = new Backoff({ initialMs: RETRY_INITIAL_MS, maxMs: RETRY_MAX_MS });
  #pending: { state: HeldState; done: (() => void)[] } | undefined;
  #writing: Promise<void> | undefined;
  #failure = '';
  #retry: { clear(): void } | undefined;

  constructor(options: StateStoreOptions) {
    this.#options = options;
    this.#path = join(options.directory, FILE_NAME);
  }

  /** Why the newest state is not on disk; empty if it is. */
  get failure(): string {
    return this.#failure;
  }

  /**
   * Reads the last good state; the empty one if there is none. What is not a whole state file is set aside as
   * "state.bin.corrupt-<time>", for whoever wants to know what happened to the disk, and the controller sends its content again.
   */
  async load(): Promise<HeldState> {
    let bytes: Buffer;
    try {
      bytes = await readRegularFile(this.#path);
    } catch (thrown) {
      if (isCode(thrown, 'ENOENT')) return EMPTY_STATE;
      if (thrown instanceof FleetError) await this.#setAside(thrown);
      else this.#options.log.error({ err: thrown, file: this.#path }, 'cannot read the stored state; start without it');
      return EMPTY_STATE;
    }
    try {
      return decodeStateFile(bytes);
    } catch (thrown) {
      await this.#setAside(FleetError.from(thrown));
      return EMPTY_STATE;
    }
  }

  async #setAside(error: FleetError): Promise<void> {
    const aside = `${this.#path}.corrupt-${new Date(this.#options.clock.now()).toISOString().replaceAll(':', '')}`;
    const fields = { file: this.#path, set_aside_as: aside, reason: error.reason, detail: error.message };
    try {
      await rename(this.#path, aside);
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
      await writeDurably(this.#options.directory, this.#path, encodeStateFile(state));
    } catch (thrown) {
      this.#setFailure(describe(thrown, this.#options.directory));
      return false;
    }
    this.#backoff.reset();
    this.#setFailure('');
    return true;
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

/**
 * @throws FleetError STATE_FILE_CORRUPT for a directory, which could not be replaced by a file, and for a pipe or device, which might
 * never be read to its end.
 */
async function readRegularFile(path: string): Promise<Buffer> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    if (!(await file.stat()).isFile()) throw corruptStateFile('it is not a file');
    return await file.readFile();
  } finally {
    await file.close();
  }
}

async function writeDurably(directory: string, path: string, bytes: Buffer): Promise<void> {
  makeDirectory(directory);
  const temporary = `${path}.new`;
  try {
    const file = await open(temporary, 'w', 0o600);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (thrown) {
    // A full disk shall not stay fuller than it was. What matters to the caller is why the write failed.
    await unlink(temporary).catch((unlinkError: unknown) => {
      if (!isCode(unlinkError, 'ENOENT')) throw new AggregateError([thrown, unlinkError], String(thrown));
    });
    throw thrown;
  }
  const parent = await open(directory, 'r');
  try {
    await parent.sync();
  } finally {
    await parent.close();
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

function isCode(thrown: unknown, code: string): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === code;
}
