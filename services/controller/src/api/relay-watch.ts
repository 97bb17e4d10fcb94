import type { Relay } from '@mcfleet/proto/mcfleet/v1/relay';
import { refusal } from '../errors.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { ChangeOf } from '../store/store.ts';
import type { TokenFields, Tokens } from './tokens.ts';
import type { WatchQueue } from './watch-queue.ts';

const PURPOSE = 'relays';

/** Where a watch of relays continues: in the store's history, and in the statuses that this process has seen. */
interface Position {
  readonly revision: bigint;
  /** Undefined if the token was made by another process: it does not know what was seen of statuses. */
  readonly version: bigint | undefined;
}

/** Makes and follows the resume tokens of relays. */
export class RelayResume {
  /** The position of a watcher that knows nothing yet. */
  static readonly START: TokenFields = { revision: '0', epoch: '', version: '' };

  readonly #fleet: Fleet;
  readonly #tokens: Tokens;
  /** Identifies this process: versions of boards mean nothing to another. */
  readonly #epoch: string;

  constructor(fleet: Fleet, tokens: Tokens, epoch: string) {
    this.#fleet = fleet;
    this.#tokens = tokens;
    this.#epoch = epoch;
  }

  /** The position of a token. @throws FleetError RESUME_TOKEN_INVALID */
  fieldsOf(token: string): TokenFields {
    const fields = this.#tokens.open(PURPOSE, token);
    if (fields !== undefined) return fields;
    const description = 'was not made by this controller for relays';
    const violations = [{ field: 'resume_token', description }];
    throw refusal('RESUME_TOKEN_INVALID', `resume_token ${description}`, { violations });
  }

  /** The present position, as fields of a token. */
  fields(): TokenFields {
    const { store, relays } = this.#fleet;
    return { revision: String(store.revision), epoch: this.#epoch, version: String(relays.version) };
  }

  /** A token that continues after `fields`; by default after the present. */
  token({ revision = '', epoch = '', version = '' }: TokenFields = this.fields()): string {
    return this.#tokens.seal(PURPOSE, { revision, epoch, version });
  }

  /**
   * What brings a queue from a position to the present.
   *
   * @throws FleetError RESUME_TOKEN_EXPIRED
   */
  replay(fields: TokenFields): (queue: WatchQueue<Relay>) => void {
    const { revision, version } = this.#position(fields);
    const { store } = this.#fleet;
    const changes = revision > store.revision ? undefined : store.changesSince('relay', revision);
    if (changes === undefined) {
      throw refusal('RESUME_TOKEN_EXPIRED', 'the changes after this resume_token are no longer kept: list again');
    }
    return (queue) => this.#offer(queue, changes, version);
  }

  #position({ revision, epoch, version }: TokenFields): Position {
    return { revision: BigInt(revision ?? 0), version: epoch === this.#epoch ? BigInt(version ?? 0) : undefined };
  }

  #offer(queue: WatchQueue<Relay>, changes: readonly ChangeOf<'relay'>[], version: bigint | undefined): void {
    const { relays, store } = this.#fleet;
    const told = new Set<string>();
    for (const [uid, { first, last, count }] of byUid(changes)) {
      told.add(uid);
      const view = relays.get(last.key);
      const after = view?.uid === uid ? view : undefined;
      // The last state of one that is gone is the one that the history has.
      queue.offer({ before: first.before ?? (after === undefined ? last.before : undefined), after }, count - 1);
    }
    for (const key of store.tables.relay.sortedKeys()) {
      const view = relays.get(key);
      if (view === undefined || told.has(view.uid)) continue;
      if (version === undefined || relays.versionOf(key) > version) queue.offer({ before: view, after: view });
    }
  }
}

interface Span {
  readonly first: ChangeOf<'relay'>;
  last: ChangeOf<'relay'>;
  count: number;
}

/** First and last change of each relay; those that came and went are left out. */
function byUid(changes: readonly ChangeOf<'relay'>[]): Map<string, Span> {
  const spans = new Map<string, Span>();
  for (const change of changes) {
    const uids = new Set([change.before?.uid, change.after?.uid]);
    for (const uid of uids) {
      if (uid === undefined) continue;
      const span = spans.get(uid);
      // One write may replace a relay by another of the same name: each sees its own half.
      const own = { ...change, before: ofUid(change.before, uid), after: ofUid(change.after, uid) };
      if (span === undefined) spans.set(uid, { first: own, last: own, count: 1 });
      else {
        span.last = own;
        span.count += 1;
      }
    }
  }
  for (const [uid, { first, last }] of spans) {
    if (first.before === undefined && last.after === undefined) spans.delete(uid);
  }
  return spans;
}

function ofUid(relay: Relay | undefined, uid: string): Relay | undefined {
  return relay?.uid === uid ? relay : undefined;
}
