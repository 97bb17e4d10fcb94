import type { MulticastRoute } from '@mcfleet/native';
import type { KernelRelay } from './routes.ts';

/**
 * Which relays have which routes. The kernel finds one route for a packet, that of its source before that of any source, so relays whose
 * routes would hide one another cannot both forward.
 */
export class RouteClaims {
  readonly #byGroup = new Map<string, Set<KernelRelay>>();

  add(relay: KernelRelay): void {
    for (const { group } of relay.routes) {
      const relays = this.#byGroup.get(group);
      if (relays === undefined) this.#byGroup.set(group, new Set([relay]));
      else relays.add(relay);
    }
  }

  delete(relay: KernelRelay): void {
    for (const { group } of relay.routes) {
      const relays = this.#byGroup.get(group);
      relays?.delete(relay);
      if (relays?.size === 0) this.#byGroup.delete(group);
    }
  }

  /** Why another relay's routes rule out those of `relay`; undefined if none do. */
  conflict(relay: KernelRelay): string | undefined {
    for (const route of relay.routes) {
      for (const other of this.#byGroup.get(route.group) ?? []) {
        if (other.uid === relay.uid) continue;
        const why = other.routes.map((theirs) => conflictOf(route, theirs)).find((found) => found !== undefined);
        if (why !== undefined) return `${other.name} ${why}`;
      }
    }
    return undefined;
  }
}

function conflictOf(ours: MulticastRoute, theirs: MulticastRoute): string | undefined {
  if (ours.group !== theirs.group) return undefined;
  if (ours.source !== null && theirs.source !== null) {
    return ours.source === theirs.source ? `takes source ${theirs.source} of group ${theirs.group}` : undefined;
  }
  if (ours.source !== null) return `takes any source of group ${theirs.group}`;
  if (theirs.source !== null) return `takes source ${theirs.source} of group ${theirs.group}`;
  if (ours.input === theirs.input) return `takes any source of group ${theirs.group} from the same interface`;
  // A packet that comes in by an output of a route of any source may be taken for one of that route (ipmr_cache_find_any).
  const meets = (a: MulticastRoute, b: MulticastRoute): boolean => a.outputs.some(({ ifindex }) => ifindex === b.input);
  return meets(ours, theirs) || meets(theirs, ours)
    ? `sends group ${theirs.group} the other way, or on from there`
    : undefined;
}
