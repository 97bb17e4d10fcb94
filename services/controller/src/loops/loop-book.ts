import { isDeepStrictEqual } from 'node:util';
import type { ResolvedRelay } from '@mcfleet/proto/mcfleet/v1/agent_service';
import { sentAs, takenAs } from './channels.ts';
import { components } from './components.ts';
import { findLoops, type NetworksOf, type PlacedRelay, type RelayLoop } from './find-loops.ts';

/** Looks up a relay as it is now; undefined if there is none. */
export type PlacedRelayOf = (key: string) => PlacedRelay | undefined;

/**
 * The loops that relays may make, kept up with each change. What a change costs grows with the relays that packets may come to from those
 * that changed, sources and networks aside, and not with all relays.
 */
export class LoopBook {
  readonly #relayOf: PlacedRelayOf;
  readonly #networksOf: NetworksOf;
  readonly #known = new Map<string, ResolvedRelay>();
  /** Relays by what they take. */
  readonly #takers = new Map<string, Set<string>>();
  readonly #loops = new Map<string, RelayLoop>();
  /** Loops that name a relay: it may be in several, by its hosts. */
  readonly #naming = new Map<string, Set<RelayLoop>>();

  constructor(relayOf: PlacedRelayOf, networksOf: NetworksOf) {
    this.#relayOf = relayOf;
    this.#networksOf = networksOf;
  }

  /** The loop that a relay may be in; undefined if there is none. */
  loopOf(relay: string): RelayLoop | undefined {
    return this.#loops.get(relay);
  }

  /** Takes in relays that were added, changed, removed or placed otherwise. Returns those of which the loop is another one than before. */
  update(keys: Iterable<string>): Set<string> {
    const roots = new Set(keys);
    const before = new Set([...roots].flatMap((key) => [...(this.#naming.get(key) ?? [])]));
    for (const { relays } of before) for (const other of relays) roots.add(other);
    for (const key of roots) this.#index(key);
    const { graph, names } = this.#reachable(roots);
    const found = new Map<string, RelayLoop>();
    for (const members of components(graph)) {
      if (members.length < 2) continue;
      const relays = members.flatMap((node) => {
        const name = names[node];
        return name === undefined ? [] : (this.#relayOf(name) ?? []);
      });
      for (const [key, loop] of findLoops(relays, this.#networksOf)) found.set(key, loop);
    }
    const changed = new Set<string>();
    const comparison = new Comparison();
    for (const key of new Set([...roots, ...names.filter((name) => name !== undefined)])) {
      this.#naming.delete(key);
      const loop = found.get(key);
      if (comparison.isSame(this.#loops.get(key), loop)) continue;
      changed.add(key);
      if (loop === undefined) this.#loops.delete(key);
      else this.#loops.set(key, loop);
    }
    for (const loop of new Set(found.values())) for (const key of loop.relays) this.#name(key, loop);
    return changed;
  }

  #name(key: string, loop: RelayLoop): void {
    const loops = this.#naming.get(key);
    if (loops === undefined) this.#naming.set(key, new Set([loop]));
    else loops.add(loop);
  }

  #index(key: string): void {
    const { relay } = this.#relayOf(key) ?? {};
    const before = this.#known.get(key);
    if (before === relay) return;
    for (const what of before?.input === undefined ? [] : takenAs(before.input)) {
      const takers = this.#takers.get(what);
      takers?.delete(key);
      if (takers?.size === 0) this.#takers.delete(what);
    }
    if (relay?.input === undefined) {
      this.#known.delete(key);
      return;
    }
    this.#known.set(key, relay);
    for (const what of takenAs(relay.input)) {
      const takers = this.#takers.get(what);
      if (takers === undefined) this.#takers.set(what, new Set([key]));
      else takers.add(key);
    }
  }

  /** What packets may come to from some relays: relays, by name, and between them what is sent, which has none. */
  #reachable(roots: ReadonlySet<string>): { graph: number[][]; names: (string | undefined)[] } {
    const graph: number[][] = [];
    const names: (string | undefined)[] = [];
    const relays = new Map<string, number>();
    const packets = new Map<string, number>();
    const pending: string[] = [];
    const relayNode = (key: string): number => {
      const known = relays.get(key);
      if (known !== undefined) return known;
      const node = graph.push([]) - 1;
      names[node] = key;
      relays.set(key, node);
      pending.push(key);
      return node;
    };
    const packetNode = (what: string): number => {
      const known = packets.get(what);
      if (known !== undefined) return known;
      const node = graph.push([]) - 1;
      names[node] = undefined;
      packets.set(what, node);
      for (const taker of this.#takers.get(what) ?? []) graph[node]?.push(relayNode(taker));
      return node;
    };
    for (const root of roots) if (this.#known.has(root)) relayNode(root);
    for (let key = pending.pop(); key !== undefined; key = pending.pop()) {
      const relay = this.#known.get(key);
      const targets = graph[relayNode(key)];
      if (relay?.input === undefined) continue;
      for (const output of relay.outputs) {
        for (const what of sentAs(output, relay.input)) if (this.#takers.has(what)) targets?.push(packetNode(what));
      }
    }
    return { graph, names };
  }
}

/** Compares loops; relays of one share it, so that each pair is compared once. */
class Comparison {
  readonly #same = new Map<RelayLoop, Map<RelayLoop, boolean>>();

  isSame(a: RelayLoop | undefined, b: RelayLoop | undefined): boolean {
    if (a === undefined || b === undefined) return a === b;
    const ofA = this.#same.get(a) ?? new Map<RelayLoop, boolean>();
    this.#same.set(a, ofA);
    const known = ofA.get(b);
    if (known !== undefined) return known;
    const same = isDeepStrictEqual(a, b);
    ofA.set(b, same);
    return same;
  }
}
