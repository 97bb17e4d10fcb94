// What findLoops() finds, found by looking at each pair of relays and at all ways.
import type { ResolvedRelay } from '@mcfleet/proto/mcfleet/v1/agent_service';
import { RelayEngine } from '@mcfleet/proto/mcfleet/v1/relay';
import type { NetworksOf, PlacedRelay } from '../find-loops.ts';

export interface Node {
  readonly placed: PlacedRelay;
  readonly host: string;
}
type Output = ResolvedRelay['outputs'][number];

/** Whether packets of an output of `a` may come to `b`: the rules, pair by pair. */
export function joins(a: Node, output: Output, b: Node, networks: NetworksOf): boolean {
  const [from, to] = [a.placed.relay.input, b.placed.relay.input];
  if (from === undefined || to === undefined || output.address !== to.group) return false;
  const port = output.port ?? from.port;
  if (port !== undefined && to.port !== undefined && port !== to.port) return false;
  const [near, far] = [networks(a.host, output.interface), networks(b.host, to.interface)];
  const sources = sourcesOf(a, output, near.addresses);
  const takes = (source: string): boolean =>
    (to.sources.length === 0 || to.sources.includes(source)) && !to.excludeSources.includes(source);
  if (sources !== undefined && !sources.some(takes)) return false;
  if (near.networks.length > 0 && far.networks.length > 0) {
    const isOwn = a.host === b.host && output.interface === to.interface;
    return !isOwn && near.networks.some((network) => far.networks.includes(network));
  }
  const rewrites = output.address !== from.group || (output.port !== undefined && output.port !== from.port);
  return a.host !== b.host && (rewrites || output.interface === to.interface);
}

/** Undefined: any. */
function sourcesOf(
  { placed }: Node,
  { source }: Output,
  ofInterface: readonly string[],
): readonly string[] | undefined {
  const { input, engine } = placed.relay;
  const known = (all: readonly string[] = []): readonly string[] | undefined => (all.length > 0 ? all : undefined);
  if (source === '') return engine === RelayEngine.KERNEL ? known(input?.sources) : known(ofInterface);
  if (source === 'KEEP') return known(input?.sources);
  return source === 'INTERFACE' ? known(ofInterface) : [source];
}

/** Relays that a packet may pass again and again for ever, by looking at all ways. */
export function allWays(relays: readonly PlacedRelay[], networks: NetworksOf): string[] {
  const nodes = relays.flatMap((placed) => placed.hosts.map((host): Node => ({ placed, host })));
  const ways = (allowed: (node: Node) => boolean): boolean[][] => {
    const reach = nodes.map((a) =>
      nodes.map(
        (b) => allowed(a) && allowed(b) && a.placed.relay.outputs.some((output) => joins(a, output, b, networks)),
      ),
    );
    for (const k of nodes.keys())
      for (const i of nodes.keys())
        for (const j of nodes.keys()) if (reach[i]?.[k] && reach[k]?.[j]) (reach[i] ?? [])[j] = true;
    return reach;
  };
  const all = ways(() => true);
  const high = ways(
    ({ placed: { relay } }) => relay.loopProtection?.minTtl === undefined && relay.engine !== RelayEngine.KERNEL,
  );
  const leads = (i: number, j: number): boolean => i === j || all[i]?.[j] === true;
  const resets = nodes.flatMap((a, i) =>
    nodes.flatMap((b, j) =>
      a.placed.relay.outputs.some((output) => output.ttl !== undefined && joins(a, output, b, networks))
        ? [[i, j] as const]
        : [],
    ),
  );
  const endless = nodes.filter((_, i) => high[i]?.[i] || resets.some(([from, to]) => leads(i, from) && leads(to, i)));
  return [...new Set(endless.map(({ placed }) => placed.key))].sort();
}
