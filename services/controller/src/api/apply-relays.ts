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
import { assertEtag, type Conflict, conflictOf, conflictRefusal, nextRelay, relayViolations } from './relay-writes.ts';
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
  const items = request.relays.map((relay, i) => {
    const key = relay.name.startsWith('relays/') ? keyOf(relay) : relay.name;
    return { key, path: `relays[${i}]`, relay };
  });
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
  const seen = new Map<string, number>();
  relays.forEach(({ name }, i) => {
    const key = name.startsWith('relays/') ? keyOf({ name }) : name;
    const first = seen.get(key);
    if (first !== undefined && key !== '')
      violations.add(`relays[${i}].name`, `${quote(key)} is given twice, first in relays[${first}]`);
    seen.set(key, first ?? i);
  });
  assertValid(violations);
}

/** All or none. Every violation of every relay is told at once; conflicts are looked for among what is valid. */
function applyAll(transaction: Transaction, items: readonly Item[], put: (item: Item) => Applied): Applied[] {
  const violations: FieldViolation[] = items.flatMap((item) => violationsOf(transaction, item));
  if (violations.length > 0) throw invalidSpec('the request', violations);
  // All are stored before any is looked at: what two relays exchange is no conflict.
  const applied = items.map(put);
  const conflicts = applied.flatMap(({ item, before, after }) => {
    const conflict = newConflict(transaction, before, after);
    return conflict === undefined ? [] : [{ conflict, violation: atOutput(conflict, item) }];
  });
  const [first] = conflicts;
  if (first !== undefined)
    throw conflictRefusal(
      first.conflict,
      conflicts.map(({ violation }) => violation),
    );
  return applied;
}

/** On its own: a refusal is its result. */
function applyOne(transaction: Transaction, item: Item, put: (item: Item) => Applied, fleet: Fleet): ApplyResult {
  try {
    const applied = transaction.attempt(() => {
      const violations = violationsOf(transaction, item);
      if (violations.length > 0) throw invalidSpec(item.path, violations);
      const each = put(item);
      const conflict = newConflict(transaction, each.before, each.after);
      if (conflict !== undefined) throw conflictRefusal(conflict, [atOutput(conflict, item)]);
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

function violationsOf(transaction: Transaction, { key, path, relay }: Item): readonly FieldViolation[] {
  return relayViolations(transaction, relay, { path, id: key, idPath: `${path}.name` });
}

function putItem(transaction: Transaction, item: Item, managedBy: string, clock: Clock): Applied {
  const { key, relay } = item;
  const before = transaction.relays.get(key);
  if (before !== undefined) assertEtag(relay.etag, before);
  const after = nextRelay(transaction, { key, stored: before, wanted: relay, managedBy }, clock);
  if (after !== before) transaction.put('relay', key, after);
  return { item, before, after };
}

function newConflict(transaction: Transaction, before: Relay | undefined, after: Relay): Conflict | undefined {
  return before === undefined || specDiffers(before, after) ? conflictOf(transaction, after) : undefined;
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
