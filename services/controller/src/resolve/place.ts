import type { Relay } from '@mcfleet/proto/mcfleet/v1/relay';
import { findConflict, inputKey, type SharedOutput } from './conflict.ts';
import { type ResolvedAssignment, resolveRelay } from './resolve-relay.ts';

/** Why a relay is not placed on a host that it selects. */
export interface Blocked extends SharedOutput {
  readonly relay: Relay;
  /** The older relay that sends the same packets to the same output there. */
  readonly by: Relay;
}

/** What one host shall run. */
export interface HostPlan {
  /** By uid. */
  readonly assignments: ReadonlyMap<string, ResolvedAssignment>;
  /** By uid. */
  readonly blocked: ReadonlyMap<string, Blocked>;
}

/** Orders relays by age: of two that conflict the older is placed. */
export function compareAge(a: Relay, b: Relay): number {
  const difference = (a.createTime?.getTime() ?? 0) - (b.createTime?.getTime() ?? 0);
  if (difference !== 0) return difference;
  return a.uid < b.uid ? -1 : a.uid > b.uid ? 1 : 0;
}

/** Places the relays that select a host on it, the oldest first. The order of `relays` does not matter. */
export function planHost(relays: Iterable<Relay>): HostPlan {
  const assignments = new Map<string, ResolvedAssignment>();
  const blocked = new Map<string, Blocked>();
  const placed = new Map<string, Relay[]>();
  for (const relay of [...relays].sort(compareAge)) {
    const assignment = resolveRelay(relay);
    const key = inputKey(assignment.relay);
    const neighbours = placed.get(key) ?? [];
    const conflict = firstConflict(relay, neighbours);
    if (conflict !== undefined) {
      blocked.set(relay.uid, conflict);
      continue;
    }
    assignments.set(relay.uid, assignment);
    placed.set(key, [...neighbours, relay]);
  }
  return { assignments, blocked };
}

/** The first of `others` that sends what `relay` sends to the same output. */
export function firstConflict(relay: Relay, others: Iterable<Relay>): Blocked | undefined {
  for (const by of others) {
    if (by.uid === relay.uid) continue;
    const shared = findConflict(resolveRelay(relay).relay, resolveRelay(by).relay);
    if (shared !== undefined) return { relay, by, ...shared };
  }
  return undefined;
}
