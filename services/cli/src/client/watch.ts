import { type ClientReadableStream, status } from '@grpc/grpc-js';
import { Backoff } from '@mcfleet/common/backoff';
import { FleetError } from '@mcfleet/common/error';
import { ChangeType } from '@mcfleet/proto/mcfleet/v1/common';
import type { Connection } from './connection.ts';

/** One change, with the object as it is now (DELETED: as it last was). */
export interface Change<T> {
  readonly type: typeof ChangeType.ADDED | typeof ChangeType.MODIFIED | typeof ChangeType.DELETED;
  readonly object: T;
  readonly suppressed: number;
}

/** What a watch yields: changes in order, and once, after those that were there at the start, "synced". */
export type WatchItem<T> = { readonly kind: 'change'; readonly change: Change<T> } | { readonly kind: 'synced' };

/** One message of a watch of any kind. */
export interface WatchMessage<T> {
  readonly events: readonly {
    readonly type: ChangeType;
    readonly object: T | undefined;
    readonly suppressed: number;
  }[];
  /** Empty if this watch cannot be continued, only begun anew. */
  readonly resumeToken: string;
}

export interface WatchSource<T, M> {
  /** Opens the stream after a token, or with an empty one from the state as it is now. */
  open(resumeToken: string): ClientReadableStream<M>;
  read(message: M): WatchMessage<T>;
  /** What tells one object from another. */
  keyOf(object: T): string;
  /** Equal for equal objects. */
  encode(object: T): Uint8Array;
}

/** Answers that another attempt may not get. */
const transient: readonly number[] = [
  status.UNAVAILABLE,
  status.RESOURCE_EXHAUSTED,
  status.INTERNAL,
  status.CANCELLED,
  status.UNKNOWN,
  status.DEADLINE_EXCEEDED,
  status.ABORTED,
];

/**
 * Watches until the signal aborts. A connection that breaks is made again: with the resume token where the watch has one, else by
 * reading everything anew and yielding only what differs, so that nothing is lost and nothing told twice.
 *
 * @param resumeToken where to begin; default: with the state as it is now
 * @param onBreak is told about a connection that broke, and that it is tried again
 * @throws FleetError if the first attempt fails, or the controller refuses the watch
 */
export async function* watch<T, M>(
  connection: Connection,
  source: WatchSource<T, M>,
  signal: AbortSignal,
  onBreak: (error: FleetError) => void,
  resumeToken = '',
): AsyncGenerator<WatchItem<T>> {
  const memory = new WatchMemory<T>(source);
  const backoff = new Backoff({ initialMs: 200, maxMs: 5000 });
  let token = resumeToken;
  let everAnswered = false;
  let isConnected = true;
  while (!signal.aborted) {
    memory.begin(token === '');
    let failure = new FleetError({
      code: status.UNAVAILABLE,
      reason: 'STREAM_ENDED',
      message: 'the controller ended the watch',
    });
    try {
      for await (const message of connection.stream(() => source.open(token), signal)) {
        everAnswered = true;
        isConnected = true;
        backoff.reset();
        const { events, resumeToken: next } = source.read(message);
        for (const event of events) yield* memory.take(event);
        token = next;
      }
    } catch (thrown) {
      failure = FleetError.from(thrown);
      if (token !== '' && isForgotten(failure)) {
        token = '';
        continue;
      }
      if (!everAnswered || !transient.includes(failure.code)) throw failure;
    }
    if (signal.aborted) return;
    // Once for each time that it breaks, however often it is tried until it holds again.
    if (isConnected) onBreak(failure);
    isConnected = false;
    await pause(failure.retryDelayMs ?? backoff.next(), signal);
  }
}

/** The controller keeps no history so far back, or is another one since (its data directory was set up anew). */
function isForgotten({ code, reason }: FleetError): boolean {
  return code === status.OUT_OF_RANGE || reason === 'RESUME_TOKEN_INVALID';
}

/** What the watch has told so far: by object, so bounded by the number of objects. */
class WatchMemory<T> {
  readonly #source: Pick<WatchSource<T, never>, 'keyOf' | 'encode'>;
  readonly #told = new Map<string, { readonly object: T; readonly bytes: Buffer }>();
  /** Keys seen in the initial state of this connection; undefined once it is complete. */
  #initial: Set<string> | undefined;
  #everSynced = false;

  constructor(source: Pick<WatchSource<T, never>, 'keyOf' | 'encode'>) {
    this.#source = source;
  }

  begin(withInitial: boolean): void {
    this.#initial = withInitial ? new Set() : undefined;
  }

  *take(event: WatchMessage<T>['events'][number]): Generator<WatchItem<T>> {
    const { type, object, suppressed } = event;
    if (type === ChangeType.SYNCED) yield* this.#synced();
    if (object === undefined) return;
    const key = this.#source.keyOf(object);
    if (type === ChangeType.DELETED) {
      this.#told.delete(key);
      yield { kind: 'change', change: { type, object, suppressed } };
      return;
    }
    if (type !== ChangeType.ADDED && type !== ChangeType.MODIFIED) return;
    const bytes = Buffer.from(this.#source.encode(object));
    const before = this.#told.get(key);
    this.#initial?.add(key);
    // A controller that was started anew tells again what it cannot know to have told before.
    if (before?.bytes.equals(bytes) === true) return;
    this.#told.set(key, { object, bytes });
    const known = before === undefined ? type : ChangeType.MODIFIED;
    yield { kind: 'change', change: { type: known, object, suppressed } };
  }

  *#synced(): Generator<WatchItem<T>> {
    for (const [key, { object }] of this.#told) {
      if (this.#initial?.has(key) !== false) continue;
      this.#told.delete(key);
      yield { kind: 'change', change: { type: ChangeType.DELETED, object, suppressed: 0 } };
    }
    this.#initial = undefined;
    if (!this.#everSynced) yield { kind: 'synced' };
    this.#everSynced = true;
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}
