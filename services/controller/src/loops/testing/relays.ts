import { ResolvedRelay } from '@mcfleet/proto/mcfleet/v1/agent_service';
import { RelayEngine } from '@mcfleet/proto/mcfleet/v1/relay';
import fc from 'fast-check';
import type { InterfaceNetworks } from '../channels.ts';
import type { NetworksOf, PlacedRelay } from '../find-loops.ts';

const HOSTS = ['h1', 'h2', 'h3'];
const INTERFACES = ['eth0', 'eth1'];
const GROUPS = ['239.0.0.1', '239.0.0.2', '239.0.0.3'];
const PORTS = [undefined, 5000, 5001];
/** Of interfaces, and of someone else. */
const SOURCES = ['10.0.0.1', '10.0.1.1', '172.16.0.9'];
const { AUTO, USERSPACE, KERNEL } = RelayEngine;

const sourcesArbitrary = fc.oneof(
  { weight: 3, arbitrary: fc.constant<string[]>([]) },
  { weight: 2, arbitrary: fc.uniqueArray(fc.constantFrom(...SOURCES), { minLength: 1, maxLength: 2 }) },
);

export const relayArbitrary = fc
  .record({
    hosts: fc.uniqueArray(fc.constantFrom(...HOSTS), { minLength: 1, maxLength: 2 }),
    input: fc.record({
      interface: fc.constantFrom(...INTERFACES),
      group: fc.constantFrom(...GROUPS),
      port: fc.constantFrom(...PORTS),
      sources: sourcesArbitrary,
      excludeSources: sourcesArbitrary,
    }),
    engine: fc.constantFrom(AUTO, AUTO, USERSPACE, KERNEL),
    outputs: fc.array(
      fc.record({
        interface: fc.constantFrom(...INTERFACES),
        address: fc.constantFrom(...GROUPS),
        port: fc.constantFrom(...PORTS),
        ttl: fc.constantFrom(undefined, 16),
        source: fc.constantFrom('', 'KEEP', 'INTERFACE', ...SOURCES),
      }),
      { minLength: 1, maxLength: 2 },
    ),
    minTtl: fc.constantFrom(undefined, undefined, 4),
  })
  .map(({ hosts, minTtl, input, ...spec }) => ({
    hosts: [...hosts].sort(),
    relay: ResolvedRelay.fromPartial({
      ...spec,
      // Not both are allowed.
      input: { ...input, excludeSources: input.sources.length > 0 ? [] : input.excludeSources },
      ...(minTtl === undefined ? {} : { loopProtection: { minTtl } }),
    }),
  }));
export const relaysArbitrary = fc
  .array(relayArbitrary, { maxLength: 6 })
  .map((relays): PlacedRelay[] => relays.map((relay, i) => ({ key: `r${i}`, ...relay })));
const UNKNOWN: InterfaceNetworks = { networks: [], addresses: [] };
const NETWORKS: readonly InterfaceNetworks[] = [
  { networks: ['10.0.0.0/24'], addresses: ['10.0.0.1'] },
  { networks: ['10.0.1.0/24'], addresses: ['10.0.1.1'] },
  { networks: ['10.0.0.0/24', '10.0.1.0/24'], addresses: ['10.0.0.2', '10.0.1.2'] },
];
const INTERFACES_OF_HOSTS = HOSTS.flatMap((host) => INTERFACES.map((name) => `${host} ${name}`));

/** What is known of the interfaces of all hosts. */
export const networksArbitrary = fc
  .dictionary(fc.constantFrom(...INTERFACES_OF_HOSTS), fc.constantFrom(UNKNOWN, ...NETWORKS))
  .map(lookup);
/** The same where all is known. */
export const knownNetworksArbitrary = fc
  .tuple(...INTERFACES_OF_HOSTS.map(() => fc.constantFrom(...NETWORKS)))
  .map((all) => lookup(Object.fromEntries(INTERFACES_OF_HOSTS.map((name, i) => [name, all[i] ?? UNKNOWN]))));

function lookup(known: Readonly<Record<string, InterfaceNetworks>>): NetworksOf {
  return (host, name) => known[`${host} ${name}`] ?? UNKNOWN;
}

/** A relay of one input and one output, each told as "interface group". */
export function placed(
  key: string,
  hosts: string[],
  from: string,
  to: string,
  more: object = {},
  minTtl?: number,
): PlacedRelay {
  const [inputInterface = '', group = ''] = from.split(' ');
  const [outputInterface = '', address = ''] = to.split(' ');
  const relay = ResolvedRelay.fromPartial({
    input: { interface: inputInterface, group, port: 5000 },
    outputs: [{ interface: outputInterface, address, ...more }],
    ...(minTtl === undefined ? {} : { loopProtection: { minTtl } }),
  });
  return { key, relay, hosts };
}
export const nothingKnown: NetworksOf = () => UNKNOWN;
