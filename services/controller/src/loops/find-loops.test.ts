import { ResolvedRelay } from '@mcfleet/proto/mcfleet/v1/agent_service';
import { RelayEngine } from '@mcfleet/proto/mcfleet/v1/relay';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { findLoops, type NetworksOf, type PlacedRelay } from './find-loops.ts';
import { allWays, joins } from './testing/all-ways.ts';
import { goingRound } from './testing/going-round.ts';
import { knownNetworksArbitrary, networksArbitrary, nothingKnown, placed, relaysArbitrary } from './testing/relays.ts';

const found = (...relays: PlacedRelay[]): string[] => [...findLoops(relays, nothingKnown).keys()].sort();

test('finds just the relays that a packet may pass for ever, and names a way that there is', () => {
  let withLoops = 0;
  fc.assert(
    fc.property(relaysArbitrary, networksArbitrary, (relays, networks) => {
      const loops = findLoops(relays, networks);
      expect([...loops.keys()].sort()).toEqual(allWays(relays, networks));
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

test('what goes round for ever is told, where networks are known', () => {
  let withLoops = 0;
  fc.assert(
    fc.property(relaysArbitrary, knownNetworksArbitrary, (relays, networks) => {
      const told = new Set(findLoops(relays, networks).keys());
      const round = goingRound(relays, networks);
      if (round.size > 0) withLoops += 1;
      expect([...round].filter((key) => !told.has(key))).toEqual([]);
    }),
    { numRuns: 1000 },
  );
  expect(withLoops).toBeGreaterThan(50);
});

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

test('relays that do not take what the others send are no loop', () => {
  /** What comes from h1 has the source 10.2.0.1, what comes from h2 10.1.0.2. */
  const known: NetworksOf = (host, name) => {
    const network = (host === 'h1') === (name === 'eth0') ? 1 : 2;
    return { networks: [`10.${network}.0.0/24`], addresses: [`10.${network}.0.${host === 'h1' ? 1 : 2}`] };
  };
  const loop = (input: object, output: object = {}, more: object = {}, networks = known): string[] => {
    const { relay, ...there } = placed('there', ['h1'], 'eth0 239.1.1.1', 'eth1 239.2.2.2');
    const picky = ResolvedRelay.fromPartial({ ...relay, ...more, input: { ...relay.input, ...input } });
    const back = placed('back', ['h2'], 'eth0 239.2.2.2', 'eth1 239.1.1.1', output);
    return [...findLoops([{ ...there, relay: picky }, back], networks).keys()].sort();
  };
  const both = ['back', 'there'];
  expect(loop({})).toEqual(both);
  // The default source of "back" is its interface's address.
  expect(loop({ sources: ['192.0.2.7'] })).toEqual([]);
  expect(loop({ sources: ['192.0.2.7', '10.1.0.2'] })).toEqual(both);
  expect(loop({ excludeSources: ['10.1.0.2'] })).toEqual([]);
  expect(loop({ excludeSources: ['10.1.0.9'] })).toEqual(both);
  expect(loop({ sources: ['10.1.0.2'] }, { source: '198.51.100.1' })).toEqual([]);
  expect(loop({ excludeSources: ['10.1.0.2'] }, { source: '198.51.100.1' })).toEqual(both);
  // It keeps what "there" gives the packets: that is no source that is known of it.
  expect(loop({ sources: ['192.0.2.7'] }, { source: 'KEEP' })).toEqual(both);
  // Of hosts that were never there no address is known, of a spec it is.
  expect(loop({ sources: ['192.0.2.7'] }, {}, {}, nothingKnown)).toEqual(both);
  expect(loop({ sources: ['192.0.2.7'] }, { source: '198.51.100.1' }, {}, nothingKnown)).toEqual([]);
});

test('what keeps the source of packets sends those that it takes', () => {
  const loop = (engine: RelayEngine, source: string, backTakes: string[]): string[] => {
    const of = ({ relay, ...rest }: PlacedRelay, sources: string[]): PlacedRelay => ({
      ...rest,
      relay: ResolvedRelay.fromPartial({ ...relay, engine, input: { ...relay.input, sources } }),
    });
    const there = placed('there', ['h1'], 'eth0 239.1.1.1', 'eth1 239.1.1.1', { source, ttl: 16 });
    const back = placed('back', ['h2'], 'eth1 239.1.1.1', 'eth0 239.1.1.1', { ttl: 16 });
    return found(of(there, ['192.0.2.7']), of(back, backTakes));
  };
  const { AUTO, USERSPACE, KERNEL } = RelayEngine;
  const both = ['back', 'there'];
  const [same, other] = [['192.0.2.8', '192.0.2.7'], ['192.0.2.8']];
  expect(loop(USERSPACE, 'KEEP', same)).toEqual(both);
  expect(loop(USERSPACE, 'KEEP', other)).toEqual([]);
  // The kernel engine keeps it without being asked to.
  expect(loop(KERNEL, '', same)).toEqual(both);
  expect(loop(KERNEL, '', other)).toEqual([]);
  // An address of an interface that is not known.
  expect(loop(AUTO, '', other)).toEqual(both);
});

test('more lists of excluded sources than are told apart hide no loop', () => {
  const relays = Array.from({ length: 20 }, (_, i) => {
    const { relay, ...rest } = placed(`there-${i}`, ['h1'], 'eth0 239.1.1.1', 'eth1 239.2.2.2');
    const input = { ...relay.input, excludeSources: [`192.0.2.${i + 1}`] };
    return { ...rest, relay: ResolvedRelay.fromPartial({ ...relay, input }) };
  });
  const back = (source: string): PlacedRelay => placed('back', ['h2'], 'eth0 239.2.2.2', 'eth1 239.1.1.1', { source });
  expect(found(...relays, back('192.0.2.99'))).toHaveLength(21);
  // One that takes none of it may be told all the same, as those are that do.
  expect(found(...relays, back('192.0.2.3')).length).toBeGreaterThanOrEqual(20);
});
