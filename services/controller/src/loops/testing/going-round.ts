// What packets do among relays, one by one: what findLoops() must not miss.
import type { ResolvedRelay } from '@mcfleet/proto/mcfleet/v1/agent_service';
import { RelayEngine } from '@mcfleet/proto/mcfleet/v1/relay';
import { components } from '../components.ts';
import type { NetworksOf, PlacedRelay } from '../find-loops.ts';

/** A packet as it arrives at a relay of a host. */
interface Arrival {
  readonly placed: PlacedRelay;
  readonly host: string;
  readonly source: string;
  readonly ttl: number;
  /** Undefined: of a relay that takes any. */
  readonly port: number | undefined;
}

/** Of someone who is no relay. */
const SENDERS = ['10.0.0.1', '10.0.1.1', '172.16.0.9', '203.0.113.5'];
const TTLS = [1, 20];

/** The relays that a packet passes again and again, whoever sends it. */
export function goingRound(relays: readonly PlacedRelay[], networks: NetworksOf): Set<string> {
  const arrivals: Arrival[] = [];
  const graph: number[][] = [];
  const nodes = new Map<string, number>();
  const nodeOf = (arrival: Arrival): number => {
    const { placed, host, source, ttl, port } = arrival;
    const name = [placed.key, host, source, ttl, port].join();
    const known = nodes.get(name) ?? arrivals.push(arrival) - 1;
    nodes.set(name, known);
    return known;
  };
  for (const placed of relays)
    for (const host of placed.hosts)
      for (const source of SENDERS)
        for (const ttl of TTLS)
          for (const port of placed.relay.input?.port === undefined ? [5000, 5001] : [placed.relay.input.port]) {
            const arrival = { placed, host, source, ttl, port };
            if (takes(placed.relay, arrival)) nodeOf(arrival);
          }
  // Grows meanwhile.
  for (let i = 0; i < arrivals.length; i++) {
    const arrival = arrivals[i];
    graph[i] = arrival === undefined ? [] : passedOn(arrival, relays, networks).map(nodeOf);
  }
  const round = components(graph).flatMap((members) => {
    const [only] = members;
    if (members.length > 1) return members;
    return only !== undefined && graph[only]?.includes(only) ? members : [];
  });
  return new Set(round.flatMap((node) => arrivals[node]?.placed.key ?? []));
}

function takes({ input, loopProtection, engine }: ResolvedRelay, { source, ttl }: Arrival): boolean {
  if (input === undefined) return false;
  if (input.sources.length > 0 && !input.sources.includes(source)) return false;
  if (input.excludeSources.includes(source)) return false;
  return ttl >= (engine === RelayEngine.KERNEL ? 2 : (loopProtection?.minTtl ?? 1));
}

function passedOn(
  { placed, host, source, ttl, port }: Arrival,
  relays: readonly PlacedRelay[],
  networks: NetworksOf,
): Arrival[] {
  const { relay } = placed;
  return relay.outputs.flatMap((output) => {
    const keeps = output.source === 'KEEP' || (output.source === '' && relay.engine === RelayEngine.KERNEL);
    const near = networks(host, output.interface);
    const ofInterface = output.source === '' || output.source === 'INTERFACE';
    const own = ofInterface ? (near.addresses[0] ?? '') : output.source;
    const sent = {
      source: keeps ? source : own,
      ttl: output.ttl ?? Math.max(1, ttl - 1),
      port: output.port ?? port,
    };
    return relays.flatMap((other) =>
      other.hosts.flatMap((at): Arrival[] => {
        const { input } = other.relay;
        if (input === undefined || input.group !== output.address) return [];
        if (input.port !== undefined && input.port !== sent.port) return [];
        if (at === host && input.interface === output.interface) return [];
        const far = networks(at, input.interface);
        if (!near.networks.some((network) => far.networks.includes(network))) return [];
        const arrival = { placed: other, host: at, ...sent };
        return takes(other.relay, arrival) ? [arrival] : [];
      }),
    );
  });
}
