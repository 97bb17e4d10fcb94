import type { Host } from '@mcfleet/proto/mcfleet/v1/host';
import type { Relay } from '@mcfleet/proto/mcfleet/v1/relay';
import { holds } from '../resolve/diff-assignments.ts';
import { type HostPlan, planHost } from '../resolve/place.ts';
import { effectiveLabels, type Labels, selectsHost } from '../resolve/selector.ts';
import { BY_HOST_NAME, BY_LABELS, type Tables } from '../store/kinds.ts';
import type { Change } from '../store/store.ts';
import type { Table } from '../store/table.ts';

const NONE: ReadonlySet<string> = new Set();

/** What a commit does to the placement. */
export interface PlacementChange {
  /** Hosts that something changed for. */
  readonly hosts: ReadonlySet<string>;
  /** Those of them that shall run something else than before. */
  readonly replanned: ReadonlySet<string>;
  /** Relays that are or were selected on other hosts, or whose neighbours there changed. */
  readonly relays: ReadonlySet<string>;
}

/** Labels of a host as selectors see them. */
export function labelsOf(host: Host): Labels {
  return effectiveLabels(host.status?.agentLabels ?? {}, host.labels);
}

/**
 * Which relays select which hosts, both ways, kept up with each commit. Its size is bounded by that of the store; plans are made
 * when they are asked for.
 */
export class Placement {
  readonly #tables: Tables;
  readonly #hostsOf = new Map<string, Set<string>>();
  readonly #relaysOf = new Map<string, Set<string>>();
  readonly #plans = new Map<string, HostPlan>();

  constructor(tables: Tables) {
    this.#tables = tables;
    for (const key of tables.host.sortedKeys()) this.#placeHost(key);
  }

  /** Hosts that a relay selects. */
  hostsOf(relay: string): ReadonlySet<string> {
    return this.#hostsOf.get(relay) ?? NONE;
  }

  /** Relays that select a host, those that are blocked there too. */
  relaysOf(host: string): ReadonlySet<string> {
    return this.#relaysOf.get(host) ?? NONE;
  }

  /** What a host shall run. */
  planOf(host: string): HostPlan {
    const known = this.#plans.get(host);
    if (known !== undefined) return known;
    const relays = [...this.relaysOf(host)]
      .map((key) => this.#tables.relay.get(key))
      .filter((relay) => relay !== undefined);
    const plan = planHost(relays);
    if (this.#tables.host.has(host)) this.#plans.set(host, plan);
    return plan;
  }

  /** Takes in what was committed. */
  update(changes: readonly Change[]): PlacementChange {
    const hosts = new Set<string>();
    for (const { kind, key } of changes) {
      if (kind === 'host') {
        hosts.add(key);
        this.#placeHost(key);
        continue;
      }
      for (const host of this.hostsOf(key)) hosts.add(host);
      this.#placeRelay(key);
      for (const host of this.hostsOf(key)) hosts.add(host);
    }
    const relays = new Set<string>();
    const replanned = new Set<string>();
    for (const host of hosts) {
      const before = this.#plans.get(host);
      this.#plans.delete(host);
      if (before === undefined || !sameAssignments(before, this.planOf(host))) replanned.add(host);
      for (const relay of this.relaysOf(host)) relays.add(relay);
    }
    return { hosts, replanned, relays };
  }

  #placeRelay(key: string): void {
    for (const host of this.hostsOf(key)) unlink(this.#relaysOf, host, key);
    this.#hostsOf.delete(key);
    const relay = this.#tables.relay.get(key);
    if (relay !== undefined) for (const host of selectedHosts(relay, this.#tables.host)) this.#link(key, host);
  }

  #placeHost(key: string): void {
    for (const relay of this.relaysOf(key)) unlink(this.#hostsOf, relay, key);
    this.#relaysOf.delete(key);
    const host = this.#tables.host.get(key);
    if (host === undefined) return;
    for (const relay of this.#tables.relay.lookup(BY_HOST_NAME, key)) this.#link(keyOf(relay), key);
    const labels = labelsOf(host);
    for (const relay of this.#tables.relay.lookup(BY_LABELS, '')) {
      if (selectsHost(relay.spec?.hosts, key, labels)) this.#link(keyOf(relay), key);
    }
  }

  #link(relay: string, host: string): void {
    add(this.#hostsOf, relay, host);
    add(this.#relaysOf, host, relay);
  }
}

/** The hosts of a table that a relay selects. */
export function selectedHosts(relay: Relay, hosts: Table<Host>): string[] {
  const selector = relay.spec?.hosts;
  if (Object.keys(selector?.matchLabels ?? {}).length === 0)
    return (selector?.names ?? []).filter((name) => hosts.has(name));
  const all = [...hosts.values()].map((host) => ({ key: keyOf(host), labels: labelsOf(host) }));
  return all.filter(({ key, labels }) => selectsHost(selector, key, labels)).map(({ key }) => key);
}

function sameAssignments({ assignments: a }: HostPlan, { assignments: b }: HostPlan): boolean {
  return a.size === b.size && [...b.values()].every((assignment) => holds(a.get(assignment.uid), assignment));
}

/** The store's key of an object: its name without the collection. */
export function keyOf({ name }: { readonly name: string }): string {
  return name.slice(name.indexOf('/') + 1);
}

function add(map: Map<string, Set<string>>, key: string, value: string): void {
  const set = map.get(key);
  if (set === undefined) map.set(key, new Set([value]));
  else set.add(value);
}

function unlink(map: Map<string, Set<string>>, key: string, value: string): void {
  const set = map.get(key);
  set?.delete(value);
  if (set?.size === 0) map.delete(key);
}
