import { ResolvedRelay } from '@mcfleet/proto/mcfleet/v1/agent_service';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { InterfaceNetworks } from './channels.ts';
import { findLoops, type PlacedRelay } from './find-loops.ts';
import { LoopBook } from './loop-book.ts';

const HOSTS = ['h1', 'h2', 'h3'];
const INTERFACES = ['eth0', 'eth1'];
const GROUPS = ['239.0.0.1', '239.0.0.2', '239.0.0.3'];
const PORTS = [undefined, 5000, 5001];
const SOURCES = ['10.0.0.1', '10.0.0.2'];

const relayArbitrary = fc
  .record({
    hosts: fc.uniqueArray(fc.constantFrom(...HOSTS), { minLength: 1, maxLength: 2 }),
    input: fc.record({
      interface: fc.constantFrom(...INTERFACES),
      group: fc.constantFrom(...GROUPS),
      port: fc.constantFrom(...PORTS),
      sources: fc.oneof(
        { weight: 3, arbitrary: fc.constant<string[]>([]) },
        { weight: 1, arbitrary: fc.constant<string[]>(['10.0.0.1']) },
      ),
    }),
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
  .map(({ hosts, minTtl, ...spec }) => ({
    hosts: [...hosts].sort(),
    relay: ResolvedRelay.fromPartial({ ...spec, ...(minTtl === undefined ? {} : { loopProtection: { minTtl } }) }),
  }));
const relaysArbitrary = fc
  .array(relayArbitrary, { maxLength: 6 })
  .map((relays): PlacedRelay[] => relays.map((relay, i) => ({ key: `r${i}`, ...relay })));
const knownArbitrary = fc.constantFrom<InterfaceNetworks>(
  { networks: [], addresses: [] },
  { networks: ['10.0.0.0/24'], addresses: ['10.0.0.1'] },
  { networks: ['10.0.1.0/24'], addresses: ['10.0.1.1'] },
  { networks: ['10.0.0.0/24', '10.0.1.0/24'], addresses: ['10.0.0.2', '10.0.1.2'] },
);
const networksArbitrary = fc.dictionary(
  fc.constantFrom(...HOSTS.flatMap((host) => INTERFACES.map((name) => `${host} ${name}`))),
  knownArbitrary,
);
const UNKNOWN: InterfaceNetworks = { networks: [], addresses: [] };

interface Node {
  readonly placed: PlacedRelay;
  readonly host: string;
}
type Networks = (host: string, name: string) => InterfaceNetworks;
type Output = ResolvedRelay['outputs'][number];

/** Whether packets of an output of `a` may come to `b`: the rules, pair by pair. */
function joins(a: Node, output: Output, b: Node, networks: Networks): boolean {
  const [from, to] = [a.placed.relay.input, b.placed.relay.input];
  if (from === undefined || to === undefined || output.address !== to.group) return false;
  const port = output.port ?? from.port;
  if (port !== undefined && to.port !== undefined && port !== to.port) return false;
  const [near, far] = [networks(a.host, output.interface), networks(b.host, to.interface)];
  const source = output.source === 'INTERFACE' && near.addresses.length > 0 ? near.addresses : [output.source];
  const anySource = source.some((each) => each === '' || each === 'KEEP' || each === 'INTERFACE');
  if (to.sources.length > 0 && !anySource && !to.sources.some((each) => source.includes(each))) return false;
  if (near.networks.length > 0 && far.networks.length > 0) {
    const isOwn = a.host === b.host && output.interface === to.interface;
    return !isOwn && near.networks.some((network) => far.networks.includes(network));
  }
  const rewrites = output.address !== from.group || (output.port !== undefined && output.port !== from.port);
  return a.host !== b.host && (rewrites || output.interface === to.interface);
}

/** Relays that a packet may pass again and again for ever, by looking at all ways. */
function bruteForce(relays: readonly PlacedRelay[], networks: Networks): string[] {
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
  const high = ways(({ placed }) => placed.relay.loopProtection?.minTtl === undefined);
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

test('finds just the relays that a packet may pass for ever, and names a way that there is', () => {
  let withLoops = 0;
  fc.assert(
    fc.property(relaysArbitrary, networksArbitrary, (relays, known) => {
      const networks: Networks = (host, name) => known[`${host} ${name}`] ?? UNKNOWN;
      const loops = findLoops(relays, networks);
      expect([...loops.keys()].sort()).toEqual(bruteForce(relays, networks));
      if (loops.size > 0) withLoops += 1;
      for (const [key, { steps, relays: all }] of loops) {
        expect(all).toContain(key);
        const nodes = steps.map(({ relay, host }) => ({ placed: relays.find((each) => each.key === relay), host }));
        expect(nodes.length).toBeGreaterThan(0);
        nodes.forEach(({ placed, host }, i) => {
          const next = nodes[(i + 1) % nodes.length];
          if (placed === undefined || next?.placed === undefined) throw new Error('a step of no relay');
          const [a, b] = [
            { placed, host },
            { placed: next.placed, host: next.host },
          ];
          expect(placed.relay.outputs.some((output) => joins(a, output, b, networks))).toBe(true);
        });
      }
    }),
    { numRuns: 2000 },
  );
  expect(withLoops).toBeGreaterThan(200);
});

test('what is kept up with each change is what is found anew', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(5), fc.option(relayArbitrary, { nil: undefined })), { maxLength: 15 }),
      networksArbitrary,
      (changes, known) => {
        const networks: Networks = (host, name) => known[`${host} ${name}`] ?? UNKNOWN;
        const relays = new Map<string, PlacedRelay>();
        const book = new LoopBook((key) => relays.get(key), networks);
        const told = new Map<string, unknown>();
        for (const [number, relay] of changes) {
          const key = `r${number}`;
          if (relay === undefined) relays.delete(key);
          else relays.set(key, { key, ...relay });
          for (const changed of book.update([key])) told.set(changed, book.loopOf(changed));
          const wanted = bruteForce([...relays.values()], networks);
          const keys = ['r0', 'r1', 'r2', 'r3', 'r4', 'r5'];
          expect(keys.filter((each) => book.loopOf(each) !== undefined)).toEqual(wanted);
          // Whoever listens to what changed knows it all.
          for (const each of keys) expect(told.get(each)).toEqual(book.loopOf(each));
        }
      },
    ),
    { numRuns: 2000 },
  );
});

function placed(
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
const nothingKnown: Networks = () => UNKNOWN;
const found = (...relays: PlacedRelay[]): string[] => [...findLoops(relays, nothingKnown).keys()].sort();

test('ordinary relays are no loop', () => {
  // One stream, passed on from host to host, or at many sites.
  expect(found(placed('a', ['h1', 'h2', 'h3'], 'eth0 239.1.1.1', 'eth1 239.1.1.1'))).toEqual([]);
  // Both ways on one host: what it sends it does not receive.
  const there = placed('there', ['h1'], 'eth0 239.1.1.1', 'eth1 239.1.1.1');
  const back = placed('back', ['h1'], 'eth1 239.1.1.1', 'eth0 239.1.1.1');
  expect(found(there, back)).toEqual([]);
  // The same on a second host beside it is one.
  expect(found({ ...there, hosts: ['h1', 'h2'] }, { ...back, hosts: ['h1', 'h2'] })).toEqual(['back', 'there']);
});

test('a loop that a TTL ends is none', () => {
  const loop = (more: object, minTtl?: number): string[] =>
    found(
      placed('a', ['h1'], 'eth0 239.1.1.1', 'eth1 239.2.2.2', more),
      placed('b', ['h2'], 'eth0 239.2.2.2', 'eth1 239.1.1.1', {}, minTtl),
    );
  // The lowest that an output gives a copy is 1, so that it goes on at that.
  expect(loop({})).toEqual(['a', 'b']);
  expect(loop({}, 2)).toEqual([]);
  expect(loop({ ttl: 16 }, 2)).toEqual(['a', 'b']);
});

/** Milliseconds that each of `keys` takes to be taken in, sorted. */
function timesOf(book: LoopBook, keys: readonly string[]): number[] {
  return keys
    .map((key) => {
      const begin = performance.now();
      book.update([key]);
      return performance.now() - begin;
    })
    .sort((a, b) => a - b);
}

test('a change among 10,000 relays looks at those only that it may send to', () => {
  const count = 10_000;
  const groupOf = (i: number): string => `239.1.${i >> 8}.${i & 255}`;
  const chain = (i: number): PlacedRelay => placed(`r${i}`, ['h1', 'h2'], `eth0 ${groupOf(i)}`, `eth1 ${groupOf(i)}`);
  const relays = new Map(Array.from({ length: count }, (_, i) => [`r${i}`, chain(i)]));
  let looked = 0;
  const book = new LoopBook(
    (key) => relays.get(key),
    (host, name) => {
      looked += 1;
      return nothingKnown(host, name);
    },
  );
  const begin = performance.now();
  expect(book.update(relays.keys())).toEqual(new Set());
  const all = performance.now() - begin;
  looked = 0;
  const times = timesOf(book, ['r1', 'r10', 'r100', 'r1000', 'r9999']);
  // An input and an output on two hosts each.
  expect(looked).toBe(5 * 4);
  // One that closes a circle.
  relays.set('r7', placed('r7', ['h3'], `eth1 ${groupOf(7)}`, `eth0 ${groupOf(8)}`));
  relays.set('r8', placed('r8', ['h4'], `eth0 ${groupOf(8)}`, `eth1 ${groupOf(7)}`));
  expect(book.update(['r7', 'r8'])).toEqual(new Set(['r7', 'r8']));
  console.log(`loops of ${count} relays: all ${all.toFixed(0)} ms, one of them ${times[2]?.toFixed(2)} ms`);
});

test('10,000 relays in one circle are looked at in time that grows with their number', () => {
  const count = 10_000;
  const groupOf = (i: number): string => `239.1.${(i % count) >> 8}.${(i % count) & 255}`;
  const relays = new Map(
    Array.from({ length: count }, (_, i) => [
      `r${i}`,
      placed(`r${i}`, [`h${i % 7}`], `eth0 ${groupOf(i)}`, `eth1 ${groupOf(i + 1)}`),
    ]),
  );
  const book = new LoopBook((key) => relays.get(key), nothingKnown);
  expect(book.update(relays.keys()).size).toBe(count);
  expect(book.loopOf('r5')?.steps.length).toBe(count);
  const times = timesOf(book, ['r1', 'r5000']);
  relays.delete('r77');
  expect(book.update(['r77']).size).toBe(count);
  expect(book.loopOf('r5')).toBeUndefined();
  console.log(`a change in one circle of ${count} relays: ${times[0]?.toFixed(0)} ms`);
});
