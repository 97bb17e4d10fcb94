import type { Clock } from '@mcfleet/common/clock';
import type { CallContext } from '@mcfleet/common/grpc/handlers';
import { ChangeType } from '@mcfleet/proto/mcfleet/v1/common';
import { refusal } from '../errors.ts';
import type { Board } from '../fleet/board.ts';
import { type WatchEvent, WatchQueue, type WatchQueueOptions } from './watch-queue.ts';

/** The most events of one message. */
const MAX_EVENTS = 500;
/** Bytes of events in one message, below the 4 MiB that it may have. */
const MAX_BYTES = 2 * 1024 * 1024;
const BOOKMARK_MS = 30_000;
/** The most watches at once. */
const MAX_WATCHES = 1000;

/** An event as it is sent: of an object, or a mark without one. */
export interface SentEvent<View> {
  readonly type: ChangeType;
  readonly view: View | undefined;
  readonly suppressed: number;
}

export interface Watch<View> extends WatchQueueOptions<View> {
  readonly board: Board<View>;
  /** Keys of the objects to begin with, if the watch begins with all that are there. */
  readonly initial: readonly string[] | undefined;
  /** Called once the watch is subscribed: offers what happened before, for a watch that resumes. */
  readonly replay?: (queue: WatchQueue<View>) => void;
  /** Called every `intervalMs` to offer what the board does not tell. */
  readonly poll?: { readonly intervalMs: number; readonly offer: (queue: WatchQueue<View>) => void };
  readonly sizeOf: (view: View) => number;
  /** Called when the watch sees every change from now on. */
  readonly subscribed?: () => void;
  /** Sends one message. `isSettled`: with it the watcher knows everything that has happened until now. */
  readonly send: (events: readonly SentEvent<View>[], isSettled: boolean) => Promise<void>;
}

/** Serves watches, and bounds how many there are. */
export class Watches {
  readonly #clock: Clock;
  #open = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Serves one watch until its call ends. @throws FleetError TOO_MANY_WATCHES or WATCH_TOO_SLOW */
  async serve<View>(watch: Watch<View>, { signal }: CallContext): Promise<void> {
    if (this.#open >= MAX_WATCHES) {
      throw refusal('TOO_MANY_WATCHES', `${MAX_WATCHES} watches are open already: end one`, { retryDelayMs: 5000 });
    }
    this.#open += 1;
    const queue = new WatchQueue(watch);
    const unsubscribe = watch.board.onChange((change) => queue.offer(change));
    watch.subscribed?.();
    const poll =
      watch.poll === undefined ? undefined : this.#every(watch.poll.intervalMs, () => watch.poll?.offer(queue));
    try {
      // What changes while this is sent waits in the queue: subscribed first, nothing is missed.
      const initial = watch.initial
        ?.map((key) => watch.board.get(key))
        .filter((view) => view !== undefined && watch.matches(view));
      if (initial !== undefined) await this.#sendInitial(watch, initial as View[]);
      watch.replay?.(queue);
      if (initial === undefined && queue.size === 0) await watch.send(mark(ChangeType.BOOKMARK), true);
      for (;;) {
        signal.throwIfAborted();
        const events = this.#take(watch, queue);
        if (events.length > 0) await watch.send(events, queue.size === 0);
        else if (!(await this.#wait(queue, signal))) await watch.send(mark(ChangeType.BOOKMARK), true);
      }
    } finally {
      this.#open -= 1;
      unsubscribe();
      poll?.();
    }
  }

  async #sendInitial<View>(watch: Watch<View>, views: readonly View[]): Promise<void> {
    let events: WatchEvent<View>[] = [];
    let bytes = 0;
    for (const view of views) {
      const size = watch.sizeOf(view);
      if (events.length === MAX_EVENTS || (events.length > 0 && bytes + size > MAX_BYTES)) {
        await watch.send(events, false);
        [events, bytes] = [[], 0];
      }
      events.push({ type: ChangeType.ADDED, view, suppressed: 0 });
      bytes += size;
    }
    if (events.length > 0) await watch.send(events, false);
    await watch.send(mark(ChangeType.SYNCED), false);
  }

  #take<View>(watch: Watch<View>, queue: WatchQueue<View>): readonly WatchEvent<View>[] {
    const events = queue.take(MAX_EVENTS);
    let bytes = 0;
    const fits = events.findIndex(({ view }, i) => {
      bytes += watch.sizeOf(view);
      return i > 0 && bytes > MAX_BYTES;
    });
    if (fits < 0) return events;
    queue.putBack(events.slice(fits));
    return events.slice(0, fits);
  }

  /** Waits until something happens; false if nothing did for a while. Ends early if the call does. */
  async #wait<View>(queue: WatchQueue<View>, signal: AbortSignal): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const timer = this.#clock.setTimeout(() => resolve(false), BOOKMARK_MS);
    const onAbort = (): void => resolve(true);
    signal.addEventListener('abort', onAbort);
    void queue.filled().then(() => resolve(true));
    try {
      return await promise;
    } finally {
      timer.clear();
      signal.removeEventListener('abort', onAbort);
    }
  }

  #every(ms: number, act: () => void): () => void {
    let timer = this.#clock.setTimeout(tick, ms);
    const clock = this.#clock;
    return () => timer.clear();

    function tick(): void {
      timer = clock.setTimeout(tick, ms);
      act();
    }
  }
}

function mark(type: ChangeType): readonly SentEvent<never>[] {
  return [{ type, view: undefined, suppressed: 0 }];
}
