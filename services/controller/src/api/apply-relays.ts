import type { Clock } from '@mcfleet/common/clock';
import { type FieldViolation, FleetError } from '@mcfleet/common/error';
import { MAX_ADMIN_MESSAGE_BYTES } from '@mcfleet/common/grpc/limits';
import { relayName } from '@mcfleet/common/names';
import { quote } from '@mcfleet/common/quote';
import { toRpcStatus } from '@mcfleet/common/status-details';
import type { Relay } from '@mcfleet/proto/mcfleet/v1/relay';
import {
  ApplyAction,
  type ApplyRelaysRequest,
  ApplyRelaysResponse,
  ApplyResult,
} from '@mcfleet/proto/mcfleet/v1/relay_service';
import { diffRelays, specDiffers } from '../diff/relay-diff.ts';
import { refusal } from '../errors.ts';
import type { Fleet } from '../fleet/fleet.ts';
import { conflictMessage } from '../fleet/instance-view.ts';
import { keyOf } from '../fleet/placement.ts';
import { matchesLabels } from '../resolve/selector.ts';
import type { Transaction } from '../store/store.ts';
import { validateLabels } from '../validate/metadata.ts';
import { Violations } from '../validate/violations.ts';
import { assertEtag, type Conflict, conflictRefusal, conflictsOf, nextRelay, relayViolations } from './relay-writes.ts';
import { assertValid, invalidSpec } from './requests.ts';

/** As many as one controller is planned for: an apply is all or nothing. */
const MAX_RELAYS = 10_000;
const MAX_OWNER_LENGTH = 128;
const DEFAULT_OWNER = 'mcfleet';
const MAX_RESPONSE_BYTES = MAX_ADMIN_MESSAGE_BYTES - 64 * 1024;

/** One relay of the request. */
interface Item {
  readonly key: string;
  readonly path: string;
  readonly relay: Relay;
  /** Path of the relay that has its name already. */
  readonly earlier: string | undefined;
}

/** What became of one relay of the request. */
interface Applied {
  readonly item: Item;
  readonly before: Relay | undefined;
  readonly after: Relay;
}

/**
 * Makes the stored relays equal to those given, within one write.
 *
 * @throws FleetError if the request itself is not valid; if `atomic`, also if one of its relays is refused
 */
export function applyRelays(
  transaction: Transaction,
  request: ApplyRelaysRequest,
  { fleet, clock }: { readonly fleet: Fleet; readonly clock: Clock },
): ApplyRelaysResponse {
  validateRequest(request);
  const items = itemsOf(request);
  const owner = request.fieldOwner === '' ? DEFAULT_OWNER : request.fieldOwner;
  const pruned = prune(transaction, request, new Set(items.map(({ key }) => key)));
  const put = (item: Item): Applied => putItem(transaction, item, owner, clock);
  const results =
    (request.atomic ?? true)
      ? applyAll(transaction, items, put).map((applied) => describe(transaction, applied, fleet))
      : items.map((item) => applyOne(transaction, item, put, fleet));
  const response = {
    results: [...results, ...pruned],
    revision: results.some(changes) || pruned.length > 0 ? transaction.revision : transaction.revision - 1n,
  };
  if (ApplyRelaysResponse.encode(response).finish().length > MAX_RESPONSE_BYTES) {
    throw refusal(
      'RESPONSE_TOO_LARGE',
      'the answer would be larger than a message may be: apply fewer relays at a time',
    );
  }
  return response;
}

function validateRequest({ relays, fieldOwner, pruneSelector }: ApplyRelaysRequest): void {
  const violations = new Violations();
  if (relays.length > MAX_RELAYS)
    violations.add('relays', `has ${relays.length} relays; at most ${MAX_RELAYS} are allowed`);
  if (Array.from(fieldOwner).length > MAX_OWNER_LENGTH) {
    violations.add('field_owner', `has more than ${MAX_OWNER_LENGTH} characters`);
  }
  validateLabels(pruneSelector, 'prune_selector', violations);
  assertValid(violations);
}

function itemsOf({ relays }: ApplyRelaysRequest): Item[] {
  const paths = new Map<string, string>();
  return relays.map((relay, i) => {
    const path = `relays[${i}]`;
    const key = relay.name.startsWith('relays/') ? keyOf(relay) : relay.name;
    const earlier = key === '' ? undefined : paths.get(key);
    if (earlier === undefined) paths.set(key, path);
    return { key, path, relay, earlier };
  });
}

/** All or none. What is wrong with any relay, and every conflict of those that are valid, is told at once. */
function applyAll(transaction: Transaction, items: readonly Item[], put: (item: Item) => Applied): Applied[] {
  const checked = items.map((item) => ({ item, violations: violationsOf(transaction, item) }));
  const valid = items.filter((_, i) => checked[i]?.violations.length === 0);
  const isRefused = valid.length < items.length;
  if (!isRefused) for (const item of items) assertCurrent(transaction, item);
  // What is to be replaced by something that is not valid may or may not stand in the way of others then: it cannot be told.
  for (const { item, violations } of checked) {
    if (violations.length > 0 && transaction.relays.has(item.key)) transaction.delete('relay', item.key);
  }
  // All are stored before any is looked at: what two relays exchange is no conflict.
  const applied = valid.map(put);
  const conflicts = new Map(applied.map((each) => [each.item, newConflicts(transaction, each)]));
  const found = checked.flatMap(({ item, violations }) => [
    ...violations,
    ...(conflicts.get(item) ?? []).map((conflict) => atOutput(conflict, item)),
  ]);
  if (isRefused) throw invalidSpec('the request', found);
  const [first] = [...conflicts.values()].flat();
  if (first !== undefined) throw conflictRefusal(first, found);
  return applied;
}

/** On its own: a refusal is its result. */
function applyOne(transaction: Transaction, item: Item, put: (item: Item) => Applied, fleet: Fleet): ApplyResult {
  try {
    const applied = transaction.attempt(() => {
      const violations = violationsOf(transaction, item);
      if (violations.length > 0) throw invalidSpec(item.path, violations);
      assertCurrent(transaction, item);
      const each = put(item);
      const conflicts = newConflicts(transaction, each);
      const [first] = conflicts;
      if (first !== undefined) {
        throw conflictRefusal(
          first,
          conflicts.map((conflict) => atOutput(conflict, item)),
        );
      }
      return each;
    });
    return describe(transaction, applied, fleet);
  } catch (thrown) {
    if (!(thrown instanceof FleetError)) throw thrown;
    return ApplyResult.fromPartial({
      name: relayName(item.key),
      action: ApplyAction.FAILED,
      error: toRpcStatus(thrown),
    });
  }
}

function violationsOf(transaction: Transaction, { key, path, relay, earlier }: Item): readonly FieldViolation[] {
  const field = `${path}.name`;
  const found = relayViolations(transaction, relay, { path, id: key, idPath: field });
  if (earlier === undefined) return found;
  return [{ field, description: `${quote(key)} is given twice, first in ${earlier}` }, ...found];
}

function putItem(transaction: Transaction, item: Item, managedBy: string, clock: Clock): Applied {
  const { key, relay } = item;
  const before = transaction.relays.get(key);
  const after = nextRelay(transaction, { key, stored: before, wanted: relay, managedBy }, clock);
  if (after !== before) transaction.put('relay', key, after);
  return { item, before, after };
}

/** @throws FleetError ETAG_MISMATCH */
function assertCurrent(transaction: Transaction, { key, relay }: Item): void {
  const before = transaction.relays.get(key);
  if (before !== undefined) assertEtag(relay.etag, before);
}

function newConflicts(transaction: Transaction, { before, after }: Applied): Conflict[] {
  return before === undefined || specDiffers(before, after) ? conflictsOf(transaction, after) : [];
}

function atOutput(conflict: Conflict, { path }: Item): FieldViolation {
  return { field: `${path}.spec.outputs[${conflict.index}]`, description: conflictMessage(conflict, conflict.host) };
}

function describe(transaction: Transaction, { before, after }: Applied, fleet: Fleet): ApplyResult {
  const relay = fleet.preview(transaction, after);
  const { name } = after;
  if (before === undefined) return { name, action: ApplyAction.CREATED, diffs: [], error: undefined, relay };
  if (before === after) return { name, action: ApplyAction.UNCHANGED, diffs: [], error: undefined, relay };
  return { name, action: ApplyAction.UPDATED, diffs: diffRelays(before, after), error: undefined, relay };
}

function prune(
  transaction: Transaction,
  { pruneSelector }: ApplyRelaysRequest,
  given: ReadonlySet<string>,
): ApplyResult[] {
  if (Object.keys(pruneSelector).length === 0) return [];
  const keys = transaction.relays.sortedKeys().filter((key) => {
    const labels = transaction.relays.get(key)?.labels ?? {};
    return !given.has(key) && matchesLabels(pruneSelector, labels);
  });
  for (const key of keys) transaction.delete('relay', key);
  return keys.map((key) => ApplyResult.fromPartial({ name: relayName(key), action: ApplyAction.PRUNED }));
}

function changes({ action }: ApplyResult): boolean {
  return action === ApplyAction.CREATED || action === ApplyAction.UPDATED;
}
