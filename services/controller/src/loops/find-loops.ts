import type { ResolvedRelay } from '@mcfleet/proto/mcfleet/v1/agent_service';
import { RelayEngine } from '@mcfleet/proto/mcfleet/v1/relay';
import { type Channel, type InterfaceNetworks, inputChannels, outputChannels } from './channels.ts';
import { components, shortestCycle } from './components.ts';
import { Exclusions } from './exclusions.ts';

/** A relay with the hosts that it is placed on. */
export interface PlacedRelay {
  readonly key: string;
  readonly relay: ResolvedRelay;
  readonly hosts: readonly string[];
}

/** Relays that may send to each other for ever. */
export interface RelayLoop {
  /** In the order in which packets may pass them; the last may send to the first. */
  readonly steps: readonly { readonly relay: string; readonly host: string }[];
  /** All relays of which some may send to others of them in a circle, those of `steps` included. */
  readonly relays: readonly string[];
}

/** Looks up what is known of an interface of a host. */
export type NetworksOf = (host: string, name: string) => InterfaceNetworks;

/** Circles that are looked for by name among relays that are all connected. */
const MAX_NAMED = 8;

/**
 * The loops that relays may make, by relay; those of other relays are not looked for. What ends by itself is none: where no output sets
 * the TTL and a relay asks for more than one is left of it at last.
 */
export function findLoops(relays: readonly PlacedRelay[], networksOf: NetworksOf): Map<string, RelayLoop> {
  const network = new Network(relays, networksOf);
  const loops = new Map<string, RelayLoop>();
  for (const members of network.endless()) {
    const inside = new Set(members);
    const instances = members.filter((node) => network.instance(node) !== undefined);
    const names = [...new Set(instances.map((node) => network.instance(node)?.relay ?? ''))].sort();
    const named: RelayLoop[] = [];
    for (const node of instances) {
      const own = network.instance(node)?.relay ?? '';
      if (loops.has(own)) continue;
      if (named.length < MAX_NAMED) {
        const way = shortestCycle(network.graph, node, inside);
        named.push({ steps: way.flatMap((at) => network.instance(at) ?? []), relays: names });
      }
      const loop = named.at(-1);
      if (loop === undefined) continue;
      loops.set(own, loop);
      for (const { relay } of loop.steps) if (!loops.has(relay)) loops.set(relay, loop);
    }
  }
  return loops;
}

/** Relays on their hosts, joined by the channels that packets may take between them. */
class Network {
  readonly graph: number[][] = [];
  readonly #instances: { readonly relay: string; readonly host: string }[] = [];
  /** Instances that drop what comes with the lowest TTL. */
  readonly #floors = new Set<number>();
  /** Edges by which a TTL is set, from instance to channel. */
  readonly #resets: [number, number][] = [];

  constructor(relays: readonly PlacedRelay[], networksOf: NetworksOf) {
    const listeners = new Map<string, Map<string, number[]>>();
    const senders: { node: number; channel: Channel; sets: boolean }[] = [];
    const exclusions = new Exclusions(relays.flatMap(({ relay }) => relay.input ?? []));
    for (const { key, relay, hosts } of relays) {
      const { input } = relay;
      if (input === undefined) continue;
      for (const host of hosts) {
        const node = this.graph.push([]) - 1;
        this.#instances.push({ relay: key, host });
        if (relay.loopProtection?.minTtl !== undefined || relay.engine === RelayEngine.KERNEL) this.#floors.add(node);
        const end = { host, spec: input, known: networksOf(host, input.interface) };
        for (const { key: channel, owner } of inputChannels(end, exclusions)) {
          const owners = listeners.get(channel) ?? new Map<string, number[]>();
          listeners.set(channel, owners);
          owners.set(owner, [...(owners.get(owner) ?? []), node]);
        }
        for (const output of relay.outputs) {
          const end = { host, spec: output, known: networksOf(host, output.interface) };
          const sets = output.ttl !== undefined;
          const channels = outputChannels(end, { engine: relay.engine, input }, exclusions);
          for (const channel of channels) senders.push({ node, channel, sets });
        }
      }
    }
    const rows = new Map<string, Row>();
    for (const { node, channel, sets } of senders) {
      const owners = listeners.get(channel.key);
      if (owners === undefined) continue;
      const row = rows.get(channel.key) ?? new Row(this.graph, owners);
      rows.set(channel.key, row);
      for (const target of row.othersThan(channel.owner)) {
        this.graph[node]?.push(target);
        if (sets) this.#resets.push([node, target]);
      }
    }
  }

  instance(node: number): { readonly relay: string; readonly host: string } | undefined {
    return this.#instances[node];
  }

  /** Sets of nodes that reach each other, and that a packet may go round in for ever. */
  endless(): number[][] {
    const all = components(this.graph);
    const component = new Int32Array(this.graph.length);
    all.forEach((members, i) => {
      for (const node of members) component[node] = i;
    });
    const resetting = new Set<number | undefined>();
    for (const [from, to] of this.#resets) if (component[from] === component[to]) resetting.add(component[from]);
    return all.flatMap((members, i) => {
      if (members.length < 2) return [];
      if (resetting.has(i) || !members.some((node) => this.#floors.has(node))) return [members];
      const high = members.filter((node) => !this.#floors.has(node));
      const number = new Map(high.map((node, index) => [node, index]));
      const rest = high.map((node) => (this.graph[node] ?? []).flatMap((target) => number.get(target) ?? []));
      return components(rest)
        .filter(({ length }) => length > 1)
        .map((part) => part.flatMap((index) => high[index] ?? []));
    });
  }
}

/**
 * The inputs of a channel in a row by owner, with a node before and one behind each, so that few edges lead from each output to all
 * inputs but those of its own owner.
 */
class Row {
  readonly #index = new Map<string, number>();
  /** A node that leads to the inputs of this owner and all before; and of all behind. */
  readonly #before: number[] = [];
  readonly #behind: number[] = [];

  constructor(graph: number[][], owners: ReadonlyMap<string, readonly number[]>) {
    const inputs = [...owners.values()];
    for (const owner of owners.keys()) this.#index.set(owner, this.#index.size);
    inputs.forEach((nodes, i) => {
      this.#before.push(graph.push([...nodes, ...(i > 0 ? [this.#before[i - 1] ?? 0] : [])]) - 1);
    });
    for (let i = inputs.length - 1; i >= 0; i--) {
      const following = this.#behind[i + 1];
      this.#behind[i] = graph.push([...(inputs[i] ?? []), ...(following === undefined ? [] : [following])]) - 1;
    }
  }

  othersThan(owner: string): number[] {
    const index = this.#index.get(owner);
    if (index === undefined) return [this.#before.at(-1)].filter((node) => node !== undefined);
    return [this.#before[index - 1], this.#behind[index + 1]].filter((node) => node !== undefined);
  }
}
