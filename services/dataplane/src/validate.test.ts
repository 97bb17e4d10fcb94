import { status } from '@grpc/grpc-js';
import { FleetError } from '@mcfleet/common/error';
import { ProgrammedRelay } from '@mcfleet/proto/mcfleet/v1/dataplane_service';
import { RelayEngine } from '@mcfleet/proto/mcfleet/v1/relay';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { validateRelay } from './validate.ts';

const OUTPUT = { key: '239.2.2.2:6001@eth1', ifindex: 3, address: '239.2.2.2', port: 6001 };
const RELAY = {
  uid: 'u-1',
  name: 'relays/a',
  generation: 1n,
  inputIfindex: 2,
  group: '239.1.1.1',
  port: 5001,
  outputs: [OUTPUT],
};

function validate(fields: object, ipv6 = false): unknown {
  return validateRelay(ProgrammedRelay.fromPartial({ ...RELAY, ...fields }), { path: 'upserts[7]', ipv6 });
}

function refusal(fields: object, ipv6 = false): FleetError {
  try {
    validate(fields, ipv6);
  } catch (error) {
    if (error instanceof FleetError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

test('what is omitted is null for the native part', () => {
  expect(validate({ port: undefined, outputs: [{ key: 'k', ifindex: 3, address: '10.0.0.1' }] })).toEqual({
    uid: 'u-1',
    inputIfindex: 2,
    group: '239.1.1.1',
    port: null,
    vlan: null,
    sources: [],
    excludedSources: [],
    rateLimit: null,
    keepDuplicates: false,
    minTtl: null,
    outputs: [
      {
        key: 'k',
        ifindex: 3,
        address: '10.0.0.1',
        port: null,
        ttl: null,
        source: null,
        dscp: null,
        sourcePort: null,
        dropOversize: false,
      },
    ],
  });
});

test('a limit and a choice about loops are handed on', () => {
  expect(validate({ loopProtection: { keepDuplicates: true, minTtl: 9 } })).toMatchObject({
    keepDuplicates: true,
    minTtl: 9,
  });
  expect(validate({ rateLimit: { bitsPerSecond: 1_000_000_000_000n, burstPackets: 7 } })).toMatchObject({
    rateLimit: { packetsPerSecond: null, bitsPerSecond: 1e12, burstPackets: 7 },
  });
});

test('a local unicast address can be the input, and sources can be named', () => {
  expect(
    validate({ group: '192.0.2.1', sources: ['10.99.99.99'], outputs: [{ ...OUTPUT, ttl: 16, source: '192.0.2.9' }] }),
  ).toMatchObject({ group: '192.0.2.1', sources: ['10.99.99.99'], outputs: [{ ttl: 16, source: '192.0.2.9' }] });
});

test.each([
  ['uid', { uid: '' }],
  ['uid', { uid: 'x'.repeat(65) }],
  ['name', { name: 'relays/Not A Name' }],
  ['generation', { generation: 0n }],
  ['digest', { digest: Buffer.alloc(65) }],
  ['input_ifindex', { inputIfindex: -1 }],
  ['input_ifindex', { inputIfindex: 2 ** 31 }],
  ['group', { group: '239.1.1' }],
  ['group', { group: '::ffff:239.1.1.1' }],
  ['port', { port: 0 }],
  ['port', { port: 70_000 }],
  ['sources[0]', { sources: ['239.1.1.1'] }],
  ['sources[1]', { sources: ['10.0.0.1', '10.0.0.1'] }],
  ['sources[0]', { sources: ['fe80::1'] }],
  ['loop_protection.min_ttl', { loopProtection: { minTtl: 1 } }],
  ['vlan', { vlan: 0 }],
  ['vlan', { vlan: 4095 }],
  ['rate_limit', { rateLimit: { burstPackets: 3 } }],
  ['rate_limit.packets_per_second', { rateLimit: { packetsPerSecond: 0 } }],
  ['rate_limit.bits_per_second', { rateLimit: { bitsPerSecond: 999n } }],
  ['rate_limit.burst_packets', { rateLimit: { packetsPerSecond: 1, burstPackets: 1_000_001 } }],
  ['exclude_sources[0]', { excludeSources: ['239.1.1.1'] }],
  ['exclude_sources[1]', { excludeSources: ['10.0.0.1', '10.0.0.1'] }],
  ['exclude_sources', { sources: ['10.0.0.1'], excludeSources: ['10.0.0.2'] }],
  ['sources', { sources: Array.from({ length: 1025 }, (_, i) => `10.1.${i >> 8}.${i & 255}`) }],
  ['outputs', { outputs: [] }],
  ['outputs', { outputs: Array.from({ length: 257 }, (_, i) => ({ ...OUTPUT, key: `${i}` })) }],
  ['outputs[0].key', { outputs: [{ ...OUTPUT, key: '' }] }],
  ['outputs[1].key', { outputs: [OUTPUT, OUTPUT] }],
  ['outputs[0].ifindex', { outputs: [{ ...OUTPUT, ifindex: -1 }] }],
  ['outputs[0].address', { outputs: [{ ...OUTPUT, address: '255.255.255.255' }] }],
  ['outputs[0].address', { outputs: [{ ...OUTPUT, address: 'ff02::1' }] }],
  ['outputs[0].port', { outputs: [{ ...OUTPUT, port: 0 }] }],
  ['outputs[0].ttl', { outputs: [{ ...OUTPUT, ttl: 0 }] }],
  ['outputs[0].ttl', { outputs: [{ ...OUTPUT, ttl: 256 }] }],
  ['outputs[0].dscp', { outputs: [{ ...OUTPUT, dscp: 64 }] }],
  ['outputs[0].source_port', { outputs: [{ ...OUTPUT, sourcePort: 0 }] }],
  ['outputs[0].oversize', { outputs: [{ ...OUTPUT, oversize: 9 }] }],
  ['outputs[0].source', { outputs: [{ ...OUTPUT, source: '224.0.0.1' }] }],
  ['outputs[0]', { outputs: [{ ...OUTPUT, ifindex: 2, address: '239.1.1.1', port: 5001 }] }],
  ['outputs[0]', { outputs: [{ key: 'k', ifindex: 2, address: '239.1.1.1' }] }],
])('a wrong %s is told (case %#)', (field, fields) => {
  const error = refusal(fields);
  expect(error.code).toBe(status.INVALID_ARGUMENT);
  expect(error.violations.map((violation) => violation.field)).toEqual([`upserts[7].${field}`]);
});

test('the same group and port on another interface is no loop, nor is another port', () => {
  validate({ outputs: [{ ...OUTPUT, address: '239.1.1.1', port: 5001 }] });
  validate({ outputs: [{ ...OUTPUT, ifindex: 2, address: '239.1.1.1', port: 5002 }] });
  validate({ vlan: 7, outputs: [{ ...OUTPUT, ifindex: 2, address: '239.1.1.1', port: 5001 }] });
  // Neither is there now: nothing can go round.
  validate({ inputIfindex: 0, outputs: [{ ...OUTPUT, ifindex: 0, address: '239.1.1.1', port: 5001 }] });
});

test('everything that is wrong is told at once', () => {
  const error = refusal({ uid: '', group: 'x', port: 0, outputs: [{ key: '', ifindex: -1, address: 'y', ttl: 0 }] });
  expect(error.violations).toHaveLength(7);
});

test('IPv6 is refused only where it is not forwarded', () => {
  const v6 = { group: 'ff3e::1', outputs: [{ ...OUTPUT, address: 'ff3e::2' }] };
  expect(refusal(v6)).toMatchObject({ code: status.UNIMPLEMENTED, reason: 'IPV6_NOT_SUPPORTED' });
  expect(validate(v6, true)).toMatchObject({ group: 'ff3e::1' });
});

test('the engine is one of two, and what the kernel cannot do is refused beside what is wrong', () => {
  const kernel = { engine: RelayEngine.KERNEL, port: undefined, group: '239.1.1.1' };
  const outputs = [{ key: 'k', ifindex: 3, address: '239.1.1.1' }];
  expect(validate({ ...kernel, outputs })).toMatchObject({ group: '239.1.1.1', port: null });
  expect(refusal({ ...kernel, outputs: [{ ...OUTPUT, ttl: 0 }] }).violations.map(({ field }) => field)).toEqual([
    'upserts[7].outputs[0].ttl',
    ...['address', 'port', 'ttl'].map((field) => `upserts[7].outputs[0].${field}`),
  ]);
  expect(refusal({ engine: RelayEngine.AUTO }).message).toContain('engine is 1; it is 2 (userspace) or 3 (kernel)');
});

test('no input, however odd, is anything but accepted or refused', () => {
  const text = fc.oneof(fc.string(), fc.ipV4(), fc.ipV6());
  const number = fc.oneof(fc.integer(), fc.nat(70_000));
  const output = fc.record({
    key: text,
    ifindex: number,
    address: text,
    port: number,
    ttl: number,
    source: text,
    dscp: number,
  });
  const relay = fc.record({
    uid: text,
    name: text,
    generation: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    inputIfindex: number,
    group: text,
    port: number,
    sources: fc.array(text, { maxLength: 3 }),
    excludeSources: fc.array(text, { maxLength: 3 }),
    outputs: fc.array(output, { maxLength: 3 }),
  });
  fc.assert(
    fc.property(relay, fc.boolean(), (fields, ipv6) => {
      try {
        validate(fields, ipv6);
      } catch (error) {
        expect(error).toBeInstanceOf(FleetError);
      }
    }),
  );
});
