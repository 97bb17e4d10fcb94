import { status } from '@grpc/grpc-js';
import { Backoff, type BackoffOptions } from '@mcfleet/common/backoff';
import type { ResolvedAssignment } from '../resolve/resolve-relay.ts';

/** What passes by itself: the relay may be taken at another time. */
const TRANSIENT: readonly status[] = [status.UNAVAILABLE, status.RESOURCE_EXHAUSTED];

interface Refused {
  readonly assignment: ResolvedAssignment;
  readonly backoff: Backoff;
  /** Monotonic milliseconds; Infinity if it is not to be sent again before something changes. */
  dueAt: number;
}

/**
 * Relays that an agent refused. The same one is sent again only after a back-off if the reason passes, or when the host's
 * interfaces change. Bounded by the relays of the host, because `retain` drops the others.
 */
export class Refusals {
  readonly #refused = new Map<string, Refused>();
  readonly #backoff: BackoffOptions;

  constructor(backoff: BackoffOptions) {
    this.#backoff = backoff;
  }

  get size(): number {
    return this.#refused.size;
  }

  /** The agent refused an assignment with a gRPC code. */
  note(assignment: ResolvedAssignment, code: status, now: number): void {
    const before = this.#refused.get(assignment.uid);
    const same =
      before?.assignment.contentHash.equals(assignment.contentHash) &&
      before.assignment.generation === assignment.generation;
    const backoff = before !== undefined && same ? before.backoff : new Backoff(this.#backoff);
    const dueAt = TRANSIENT.includes(code) ? now + backoff.next() : Number.POSITIVE_INFINITY;
    this.#refused.set(assignment.uid, { assignment, backoff, dueAt });
  }

  /** The agent took the relay after all. */
  clear(uid: string): void {
    this.#refused.delete(uid);
  }

  /** Something changed on the host: all may be sent again. */
  makeDue(): void {
    for (const refused of this.#refused.values()) refused.dueAt = Number.NEGATIVE_INFINITY;
  }

  /** Drops what is no longer wanted in that form. */
  retain(desired: ReadonlyMap<string, ResolvedAssignment>): void {
    for (const [uid, { assignment }] of this.#refused) if (desired.get(uid) !== assignment) this.#refused.delete(uid);
  }

  /** Takes those that are to be sent again now. Until they are answered they are not due any more. */
  takeDue(now: number): ResolvedAssignment[] {
    const due = [...this.#refused.values()].filter(({ dueAt }) => dueAt <= now);
    for (const refused of due) refused.dueAt = Number.POSITIVE_INFINITY;
    return due.map(({ assignment }) => assignment);
  }

  /** When the next one is due, in monotonic milliseconds; Infinity if none is. */
  get nextDueAt(): number {
    return Math.min(Number.POSITIVE_INFINITY, ...[...this.#refused.values()].map(({ dueAt }) => dueAt));
  }
}
