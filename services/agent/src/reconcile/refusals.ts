import { status } from '@grpc/grpc-js';
import { Backoff } from '@mcfleet/common/backoff';
import type { ProgrammedRelay } from '@mcfleet/proto/mcfleet/v1/dataplane_service';
import type { Problem } from '../resolve/problem.ts';

const RETRY_INITIAL_MS = 500;
const RETRY_MAX_MS = 30_000;

/** These do not go away by themselves: only another program, another data plane or a change of the interfaces helps. */
const PERMANENT: ReadonlySet<status> = new Set([
  status.INVALID_ARGUMENT,
  status.NOT_FOUND,
  status.ALREADY_EXISTS,
  status.PERMISSION_DENIED,
  status.FAILED_PRECONDITION,
  status.OUT_OF_RANGE,
  status.UNIMPLEMENTED,
  status.UNAUTHENTICATED,
]);

/** Reasons of the data plane that mean "wait for the host", not "the relay is wrong": the interface left while it was programmed. */
const WAITING_REASONS: ReadonlySet<string> = new Set([
  'InterfaceNotFound',
  'InterfaceDown',
  'NoCarrier',
  'NoInterfaceAddress',
  'InterfaceNotMulticast',
]);

interface Refusal {
  readonly digest: Buffer;
  readonly problem: Problem;
  readonly backoff: Backoff;
  /** Monotonic milliseconds; Infinity for a permanent one. */
  readonly retryAt: number;
}

/** Whether a refused relay waits for something, or was refused for good. */
export function isWaiting(problem: Problem): boolean {
  return !PERMANENT.has(problem.code) || WAITING_REASONS.has(problem.reason);
}

/**
 * Programs that the data plane refused, so that a bad relay is not sent again and again. A transient refusal is tried again with
 * capped back-off. Bounded by the relays that are desired: see `retain`.
 */
export class Refusals {
  readonly #byUid = new Map<string, Refusal>();
  readonly #random: () => number;

  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  record(program: ProgrammedRelay, problem: Problem, now: number): void {
    const before = this.#byUid.get(program.uid);
    const backoff = before?.digest.equals(program.digest)
      ? before.backoff
      : new Backoff({ initialMs: RETRY_INITIAL_MS, maxMs: RETRY_MAX_MS, random: this.#random });
    const retryAt = PERMANENT.has(problem.code) ? Number.POSITIVE_INFINITY : now + backoff.next();
    this.#byUid.set(program.uid, { digest: program.digest, problem, backoff, retryAt });
  }

  /** The program was taken. */
  forget(uid: string): void {
    this.#byUid.delete(uid);
  }

  /** Why this very program was refused, if it was. */
  problemOf(program: ProgrammedRelay): Problem | undefined {
    const refusal = this.#byUid.get(program.uid);
    return refusal?.digest.equals(program.digest) ? refusal.problem : undefined;
  }

  /** Whether the program shall not be sent now. */
  blocks(program: ProgrammedRelay, now: number): boolean {
    const refusal = this.#byUid.get(program.uid);
    return refusal?.digest.equals(program.digest) === true && now < refusal.retryAt;
  }

  /** When the next one may be tried again; undefined if none. */
  nextRetryAt(): number | undefined {
    const next = Math.min(...[...this.#byUid.values()].map((refusal) => refusal.retryAt));
    return Number.isFinite(next) ? next : undefined;
  }

  /** Drops what is about relays that are not desired any more. */
  retain(uids: ReadonlySet<string>): void {
    for (const uid of this.#byUid.keys()) if (!uids.has(uid)) this.#byUid.delete(uid);
  }

  /** The host changed, or another data plane runs: everything may be tried again. */
  clear(): void {
    this.#byUid.clear();
  }
}
