import { Relay } from '@mcfleet/proto/mcfleet/v1/relay';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compareAge, planHost } from './place.ts';
import { resolveRelay } from './resolve-relay.ts';

const PORTS = [undefined, 5000, 5001];
const SOURCES = ['10.0.0.1', '10.0.0.2'];

const relayArbitrary = fc
  .record({
    age: fc.nat(5),
    interface: fc.constantFrom('eth0', 'eth9'),
    group: fc.constantFrom('239.1.1.1', '239.1.1.2'),
    port: fc.constantFrom(...PORTS),
    sources: fc.uniqueArray(fc.constantFrom(...SOURCES)),
    excludes: fc.boolean(),
    vlan: fc.constantFrom(undefined, 7),
    outputs: fc.uniqueArray(
      fc.record({
        interface: fc.constantFrom('eth1', 'eth2'),
        address: fc.constantFrom('', '239.9.9.9'),
        port: fc.constantFrom(...PORTS),
      }),
      { minLength: 1, maxLength: 3, selector: (output) => JSON.stringify(output) },
    ),
    uid: fc.uuid(),
  })
  .map(({ age, uid, outputs, sources, excludes, vlan, ...input }) =>
    Relay.fromPartial({
      uid,
      name: `relays/r-${uid}`,
      generation: 1n,
      createTime: new Date(age),
      spec: {
        hosts: { names: ['h'] },
        input: {
          ...input,
          ...(vlan === undefined ? {} : { vlan }),
          ...(excludes ? { excludeSources: sources } : { sources }),
        },
        outputs,
      },
    }),
  );
const relaysArbitrary = fc.uniqueArray(relayArbitrary, { maxLength: 12, selector: ({ uid }) => uid });

interface Packet {
  readonly port: number;
  readonly source: string;
  readonly vlan: number | undefined;
  readonly interface: string;
  readonly group: string;
}

/** Where copies of one packet go, output by output, told by the spec alone. */
function copies(relay: Relay, packet: Packet): string[] {
  const input = relay.spec?.input;
  const taken =
    input?.interface === packet.interface &&
    input.vlan === packet.vlan &&
    input.group === packet.group &&
    (input.port === undefined || input.port === packet.port) &&
    (input.sources.length === 0 || input.sources.includes(packet.source)) &&
    !input.excludeSources.includes(packet.source);
  if (!taken) return [];
  return (relay.spec?.outputs ?? []).map((o) => `${o.interface} ${o.address || packet.group} ${o.port ?? packet.port}`);
}

const packets = ['eth0', 'eth9'].flatMap((name) =>
  ['239.1.1.1', '239.1.1.2'].flatMap((group) =>
    [5000, 5001, 5002].flatMap((port) =>
      [...SOURCES, '10.0.0.3'].flatMap((source) =>
        [undefined, 7].map((vlan) => ({ interface: name, group, port, source, vlan })),
      ),
    ),
  ),
);

/** Whether some output of `a` gets the same as some output of `b`, whatever packet both take. */
function doubled(a: Relay, b: Relay): boolean {
  const common = packets.filter((packet) => copies(a, packet).length > 0 && copies(b, packet).length > 0);
  const outputs = (relay: Relay): number[] => (relay.spec?.outputs ?? []).map((_, i) => i);
  return (
    common.length > 0 &&
    outputs(a).some((i) =>
      outputs(b).some((j) => common.every((packet) => copies(a, packet)[i] === copies(b, packet)[j])),
    )
  );
}

test('no output gets the same packets twice, and only relays that would double one are left out', () => {
  fc.assert(
    fc.property(relaysArbitrary, (relays) => {
      const plan = planHost(relays);
      const placed = relays.filter(({ uid }) => plan.assignments.has(uid));
      expect(placed.length + plan.blocked.size).toBe(relays.length);
      for (const a of placed) for (const b of placed) if (a !== b) expect(doubled(a, b)).toBe(false);
      for (const { relay, by } of plan.blocked.values()) {
        expect(plan.assignments.has(by.uid)).toBe(true);
        expect(compareAge(by, relay)).toBeLessThan(0);
      }
    }),
    { numRuns: 500 },
  );
});

test('a relay is left out only because it would double a packet that matters on some port and source', () => {
  fc.assert(
    fc.property(relaysArbitrary, (relays) => {
      for (const { relay, by } of planHost(relays).blocked.values()) expect(doubled(relay, by)).toBe(true);
    }),
    { numRuns: 500 },
  );
});

test('the order in which relays are given does not matter', () => {
  fc.assert(
    fc.property(relaysArbitrary, fc.nat(), (relays, seed) => {
      const shuffled = relays
        .map((relay, i) => ({ relay, key: (i * 7919 + seed) % 101 }))
        .sort((a, b) => a.key - b.key);
      const keys = (plan: ReturnType<typeof planHost>) => [...plan.assignments.keys()].sort();
      expect(keys(planHost(shuffled.map(({ relay }) => relay)))).toEqual(keys(planHost(relays)));
    }),
  );
});

test('specs that mean the same have the same hash, others do not', () => {
  const base = {
    hosts: { names: ['h'] },
    input: { interface: 'eth0', group: 'ff0e::1', sources: ['2001:db8::2', '2001:db8::1'] },
  };
  const hash = (spec: object): string =>
    resolveRelay(Relay.fromPartial({ name: 'relays/a', spec })).contentHash.toString('hex');
  const a = hash({ ...base, outputs: [{ interface: 'eth1' }] });
  const b = hash({
    ...base,
    engine: 1,
    input: { interface: 'eth0', group: 'FF0E:0:0:0:0:0:0:1', sources: ['2001:db8:0::1', '2001:DB8::2'] },
    outputs: [{ interface: 'eth1', address: 'ff0e::0001' }],
  });
  expect(b).toBe(a);
  expect(hash({ ...base, outputs: [{ interface: 'eth1', ttl: 3 }] })).not.toBe(a);
});
