import type { Clock, Timer } from '@mcfleet/common/clock';

/** What a view was and is. `before` is absent if it is new, `after` if it is gone. */
export interface ViewChange<View> {
  readonly key: string;
  readonly before: View | undefined;
  readonly after: View | undefined;
  /** Rises with every change on the board. */
  readonly version: bigint;
}

export interface BoardOptions<View> {
  readonly clock: Clock;
  /** The view of a key now; undefined if there is nothing under it. */
  readonly compute: (key: string, previous: View | undefined) => View | undefined;
  /** Bytes that are equal exactly if two views are. */
  readonly fingerprint: (view: View) => Uint8Array;
}

/** How long changes of status are collected, in milliseconds: an update changes several facts of a view one after the other. */
const COLLECT_MS = 10;
/** The most views that are computed in one turn of the event loop. */
const MAX_PER_TURN = 500;

interface Entry<View> {
  readonly view: View;
  readonly fingerprint: Uint8Array;
  readonly version: bigint;
}

/**
 * Views of objects as the API shows them: what is stored, together with what is observed. Says when one has changed, whatever it
 * was that changed. Bounded by the objects there are.
 */
export class Board<View> {
  readonly #options: BoardOptions<View>;
  readonly #entries = new Map<string, Entry<View>>();
  readonly #stale = new Set<string>();
  readonly #listeners = new Set<(change: ViewChange<View>) => void>();
  #timer: Timer | undefined;
  #version = 0n;

  constructor(options: BoardOptions<View>) {
    this.#options = options;
  }

  /** The version of the last change. */
  get version(): bigint {
    return this.#version;
  }

  /** The view of a key, as of now. Not for use within writes. */
  get(key: string): View | undefined {
    if (this.#stale.has(key) || !this.#entries.has(key)) this.refresh(key);
    return this.#entries.get(key)?.view;
  }

  /**
   * The view of a key as the board last had it; nothing is computed. For use within a write, which may yet be taken back: `get`
   * would keep, and tell to watches, what is not so.
   */
  peek(key: string): View | undefined {
    return this.#entries.get(key)?.view;
  }

  /** The version at which a view last changed. */
  versionOf(key: string): bigint {
    return this.#entries.get(key)?.version ?? 0n;
  }

  /** Something about a key may have changed: its view is computed soon. */
  touch(key: string): void {
    this.#stale.add(key);
    this.#timer ??= this.#options.clock.setTimeout(() => this.#flush(), COLLECT_MS);
  }

  /** Computes a view now. `earlier` is what it was when the controller last ran, for a key that the board does not know yet. */
  refresh(key: string, earlier?: View): void {
    this.#stale.delete(key);
    const before = this.#entries.get(key);
    const after = this.#options.compute(key, before?.view ?? earlier);
    if (after === undefined && before === undefined) return;
    const fingerprint = after === undefined ? undefined : this.#options.fingerprint(after);
    if (fingerprint !== undefined && before !== undefined && Buffer.compare(fingerprint, before.fingerprint) === 0)
      return;
    this.#version += 1n;
    const version = this.#version;
    if (after === undefined || fingerprint === undefined) this.#entries.delete(key);
    else this.#entries.set(key, { view: after, fingerprint, version });
    for (const listener of this.#listeners) listener({ key, before: before?.view, after, version });
  }

  /** Computes every view of which something may have changed. */
  settle(): void {
    for (const key of this.#stale) this.refresh(key);
  }

  /** Subscribes to changes; call the result to stop. Listeners must not throw. */
  onChange(listener: (change: ViewChange<View>) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #flush(): void {
    this.#timer = undefined;
    let left = MAX_PER_TURN;
    for (const key of this.#stale) {
      if (left-- === 0) break;
      this.refresh(key);
    }
    if (this.#stale.size > 0) this.#timer = this.#options.clock.setTimeout(() => this.#flush(), 0);
  }
}
