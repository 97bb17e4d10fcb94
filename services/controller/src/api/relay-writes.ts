import type { Clock } from '@mcfleet/common/clock';
import type { FieldViolation, FleetError } from '@mcfleet/common/error';
import { relayName } from '@mcfleet/common/names';
import { quote } from '@mcfleet/common/quote';
import { uuidv7 } from '@mcfleet/common/uuid';
import { Relay, RelayEngine, type RelaySpec } from '@mcfleet/proto/mcfleet/v1/relay';
import { diffRelays, specDiffers } from '../diff/relay-diff.ts';
import { refusal } from '../errors.ts';
import { conflictMessage } from '../fleet/instance-view.ts';
import { labelsOf, selectedHosts } from '../fleet/placement.ts';
import { findConflicts, inputKey } from '../resolve/conflict.ts';
import type { Blocked } from '../resolve/place.ts';
import { resolveRelay } from '../resolve/resolve-relay.ts';
import { selectsHost } from '../resolve/selector.ts';
import { etagOf } from '../store/etag.ts';
import { BY_INPUT } from '../store/kinds.ts';
import type { Transaction } from '../store/store.ts';
import { validateRelay } from '../validate/relay.ts';
import type { MaskTree } from './update-mask.ts';

/** Fields of a relay that an update mask can name. */
export const RELAY_MASK: MaskTree = {
  name: 'ignored',
  uid: 'ignored',
  display_name: 'leaf',
  labels: 'leaf',
  annotations: 'leaf',
  generation: 'ignored',
  etag: 'ignored',
  revision: 'ignored',
  create_time: 'ignored',
  update_time: 'ignored',
  reconciling: 'ignored',
  managed_by: 'ignored',
  spec: {
    hosts: { names: 'leaf', match_labels: 'leaf' },
    engine: 'leaf',
    input: { interface: 'leaf', group: 'leaf', port: 'leaf', sources: 'leaf' },
    outputs: 'leaf',
  },
  status: 'ignored',
};

/** A relay as its writer wants it. */
export interface WantedRelay {
  /** The store's key. */
  readonly key: string;
  /** What is stored under the key now. */
  readonly stored: Relay | undefined;
  readonly wanted: Relay;
  readonly managedBy: string;
}

/**
 * Stores a relay. One that is as wanted already is not written. Nothing of it is checked but conflicts.
 *
 * @throws FleetError RELAY_CONFLICT
 */
export function putRelay(transaction: Transaction, relay: WantedRelay, clock: Clock): Relay {
  const next = nextRelay(transaction, relay, clock);
  if (next === relay.stored) return next;
  transaction.put('relay', relay.key, next);
  if (relay.stored === undefined || specDiffers(relay.stored, next)) assertNoConflict(transaction, next);
  return next;
}

/** The relay as it would be stored; `relay.stored` itself if nothing changes. */
export function nextRelay(
  { revision }: Transaction,
  { key, stored, wanted, managedBy }: WantedRelay,
  clock: Clock,
): Relay {
  const now = new Date(clock.now());
  const base =
    stored ?? Relay.fromPartial({ name: relayName(key), uid: uuidv7(clock), generation: 0n, createTime: now });
  const intent = {
    displayName: wanted.displayName,
    labels: sorted(wanted.labels),
    annotations: sorted(wanted.annotations),
    spec: normalize(wanted.spec),
    managedBy,
  };
  const draft = { ...base, ...intent };
  // Who wrote last is no change by itself, unless somebody takes the relay over by applying it.
  const isSame =
    stored !== undefined &&
    diffRelays(stored, managedBy === '' ? { ...draft, managedBy: stored.managedBy } : draft).length === 0;
  if (isSame) return stored;
  const generation = stored === undefined || specDiffers(stored, draft) ? base.generation + 1n : base.generation;
  return {
    ...draft,
    generation,
    revision,
    etag: etagOf(base.uid, revision),
    updateTime: now,
    reconciling: false,
    status: undefined,
  };
}

/** Everything that is wrong with a relay, seen from within a write. `path` is where the request has it: "relay", "relays[3]". */
export function relayViolations(
  { hosts }: Transaction,
  relay: Relay,
  { path, id, idPath }: { readonly path: string; readonly id: string; readonly idPath: string },
): ReturnType<typeof validateRelay> {
  return validateRelay(relay, { path, id, idPath, hostExists: (host) => hosts.has(host) });
}

/** @throws FleetError ETAG_MISMATCH if `etag` is given and is not that of `current` */
export function assertEtag(etag: string, current: { readonly name: string; readonly etag: string }): void {
  if (etag === '' || etag === current.etag) return;
  const message = `${current.name} was changed since it was read: its etag is ${current.etag}, not ${shownEtag(etag)}; read it again`;
  throw refusal('ETAG_MISMATCH', message, { metadata: { current_etag: current.etag, given_etag: etag.slice(0, 200) } });
}

/** @throws FleetError ETAG_MISMATCH if `etag` is given: what it was read from is not there any more */
export function assertNoEtag(etag: string, name: string): void {
  if (etag === '') return;
  const message = `${name} was deleted since it was read with etag ${shownEtag(etag)}: leave the etag out to create it`;
  throw refusal('ETAG_MISMATCH', message, { metadata: { current_etag: '', given_etag: etag.slice(0, 200) } });
}

/** As it is if it looks like one of ours, which brings its quotes along. */
function shownEtag(etag: string): string {
  return /^"[\w-]{1,64}"$/.test(etag) ? etag : quote(etag);
}

/** A conflict of a relay that is to be stored. */
export interface Conflict extends Blocked {
  /** Where both would send the same packets. */
  readonly host: string;
}

/** @throws FleetError RELAY_CONFLICT naming the other relay, the host and the output */
export function assertNoConflict(transaction: Transaction, relay: Relay): void {
  const [conflict] = conflictsOf(transaction, relay);
  if (conflict !== undefined) throw conflictRefusal(conflict);
}

/** What speaks against the relay, seen from within a write that has stored it: at most one conflict for each output, in their order. */
export function conflictsOf(transaction: Transaction, relay: Relay): Conflict[] {
  const { relay: resolved } = resolveRelay(relay);
  const found = new Map<number, Conflict>();
  for (const by of transaction.relays.lookup(BY_INPUT, inputKey(resolved))) {
    if (by.uid === relay.uid) continue;
    const outputs = findConflicts(resolved, resolveRelay(by).relay).filter(({ index }) => !found.has(index));
    const host = outputs.length === 0 ? undefined : sharedHost(transaction, relay, by);
    if (host === undefined) continue;
    for (const shared of outputs) found.set(shared.index, { relay, by, host, ...shared });
  }
  return [...found.values()].sort((a, b) => a.index - b.index);
}

/** A host that both relays select. */
function sharedHost({ hosts }: Transaction, relay: Relay, by: Relay): string | undefined {
  return selectedHosts(relay, hosts).find((key) => {
    const host = hosts.get(key);
    return host !== undefined && selectsHost(by.spec?.hosts, key, labelsOf(host));
  });
}

/** The error for a conflict, RELAY_CONFLICT. */
export function conflictRefusal(conflict: Conflict, violations: readonly FieldViolation[] = []): FleetError {
  const { relay, by, output, host } = conflict;
  const metadata = { relay: relay.name, other_relay: by.name, host, output };
  return refusal('RELAY_CONFLICT', conflictMessage(conflict, host), { metadata, violations });
}

/** The error for a relay that is not there. */
export function relayNotFound(key: string): Error {
  return refusal('RELAY_NOT_FOUND', `there is no relay ${key}`, { metadata: { name: relayName(key) } });
}

/** Fills in the one default that is the same everywhere, so that leaving it out and writing it is the same intent. */
function normalize(spec: RelaySpec | undefined): RelaySpec | undefined {
  if (spec === undefined) return undefined;
  const engine = spec.engine === RelayEngine.UNSPECIFIED ? RelayEngine.AUTO : spec.engine;
  const hosts = spec.hosts && { ...spec.hosts, matchLabels: sorted(spec.hosts.matchLabels) };
  return { ...spec, engine, hosts };
}

/** Maps have no order in protobuf; with one, what is stored and answered does not depend on the client. */
function sorted(map: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)));
}
