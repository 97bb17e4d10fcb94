import { ChangeType } from '@mcfleet/proto/mcfleet/v1/common';
import { refusal } from '../errors.ts';
import type { ViewChange } from '../fleet/board.ts';

/** The most objects that wait for a reader. */
export const MAX_PENDING = 10_000;
const RETRY_MS = 5000;

/** A change that waits for its reader. */
export interface WatchEvent<View> {
  readonly type: ChangeType;
  readonly view: View;
  /** How many earlier changes were merged into it. */
  readonly suppressed: number;
}

export interface WatchQueueOptions<View> {
  readonly matches: (view: View) => boolean;
  /** Identifies an object for good: another one after it was deleted and created again. */
  readonly identify: (view: View) => string;
}

/** What one watch still has to tell. Changes of one object are merged, so that a slow reader skips what is history. */
export class WatchQueue<View> {
  readonly #options: WatchQueueOptions<View>;
  readonly #pending = new Map<string, WatchEvent<View>>();
  #overflowed = false;
  #wake: (() => void) | undefined;

  constructor(options: WatchQueueOptions<View>) {
    this.#options = options;
  }

  get size(): number {
    return this.#pending.size;
  }

  /** Takes in what happened to a view. What the watch does not look at is passed over; what begins to match is added. */
  offer({ before, after }: Pick<ViewChange<View>, 'before' | 'after'>, merged = 0): void {
    const { identify, matches } = this.#options;
    if (before !== undefined && after !== undefined && identify(before) !== identify(after)) {
      this.offer({ before, after: undefined }, merged);
      this.offer({ before: undefined, after });
      return;
    }
    const was = before !== undefined && matches(before);
    const is = after !== undefined && matches(after);
    const view = after ?? before;
    if (view === undefined || (!was && !is)) return;
    const type = is ? (was ? ChangeType.MODIFIED : ChangeType.ADDED) : ChangeType.DELETED;
    this.#add(identify(view), { type, view, suppressed: merged });
  }

  /**
   * Takes the oldest events out.
   *
   * @throws FleetError WATCH_TOO_SLOW if the reader fell behind too far; the queue is of no use then
   */
  take(limit: number): WatchEvent<View>[] {
    if (this.#overflowed) {
      const message = `more than ${MAX_PENDING} changed objects wait for this watch: read faster, or narrow it, and list again`;
      throw refusal('WATCH_TOO_SLOW', message, { retryDelayMs: RETRY_MS });
    }
    const events: WatchEvent<View>[] = [];
    for (const [id, event] of this.#pending) {
      if (events.length === limit) break;
      events.push(event);
      this.#pending.delete(id);
    }
    return events;
  }

  /** Puts events back that were taken last and not told. */
  putBack(events: readonly WatchEvent<View>[]): void {
    const later = [...this.#pending];
    this.#pending.clear();
    for (const event of events) this.#pending.set(this.#options.identify(event.view), event);
    for (const [id, event] of later) this.#add(id, event);
  }

  /** Resolves when something waits. For one waiter. */
  filled(): Promise<void> {
    if (this.#pending.size > 0 || this.#overflowed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #add(id: string, event: WatchEvent<View>): void {
    const merged = merge(this.#pending.get(id), event);
    if (merged === undefined) this.#pending.delete(id);
    else if (this.#pending.size < MAX_PENDING || this.#pending.has(id)) this.#pending.set(id, merged);
    else this.#overflowed = true;
    this.#wake?.();
  }
}

/** One event that says what both say together; undefined if that is nothing. */
function merge<View>(first: WatchEvent<View> | undefined, next: WatchEvent<View>): WatchEvent<View> | undefined {
  if (first === undefined) return next;
  const suppressed = first.suppressed + next.suppressed + 1;
  const { view } = next;
  if (next.type === ChangeType.DELETED) {
    return first.type === ChangeType.ADDED ? undefined : { type: ChangeType.DELETED, view, suppressed };
  }
  if (first.type === ChangeType.ADDED) return { type: ChangeType.ADDED, view, suppressed };
  return { type: ChangeType.MODIFIED, view, suppressed };
}
