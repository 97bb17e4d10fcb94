import type { ProgrammedRelayCounters, SnapshotResponse } from '@mcfleet/proto/mcfleet/v1/dataplane_service';

/**
 * All relays of a data plane, put together from answers that tell only what has changed. Answers are taken in the order in which they
 * were asked for, each before the next one is.
 */
export class WholeSnapshot {
  #relays = new Map<string, ProgrammedRelayCounters>();
  #mark = '';

  /** SnapshotRequest.since of the next reading. */
  get since(): string {
    return this.#mark;
  }

  /** Takes an answer in, and gives what it would have been had it told of all relays. Those that did not change stay the same objects. */
  take(answer: SnapshotResponse): SnapshotResponse {
    if (!answer.partial) this.#relays = new Map();
    for (const relay of answer.relays) this.#relays.set(relay.uid, relay);
    this.#mark = answer.mark;
    return { ...answer, relays: [...this.#relays.values()], partial: false };
  }
}
