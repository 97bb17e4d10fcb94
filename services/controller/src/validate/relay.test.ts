import {
  LoopProtection,
  RateLimit,
  Relay,
  RelayEngine,
  RelayInput,
  RelayOutput,
  RelaySpec,
} from '@mcfleet/proto/mcfleet/v1/relay';
import { expect, test } from 'vitest';
import { validateRelay } from './relay.ts';

const HOSTS = new Set(['edge-1', 'edge-2.example']);

/** A valid relay, changed by `change` where a test wants it wrong. */
function relay(change: (draft: ReturnType<typeof draftRelay>) => void = () => {}): Relay {
  const draft = draftRelay();
  change(draft);
  return draft;
}

function draftRelay() {
  const input = RelayInput.fromPartial({
    interface: 'eth0',
    group: '239.1.1.1',
    port: 5001,
    sources: ['10.99.99.99'],
  });
  const output = RelayOutput.fromPartial({
    interface: 'eth1',
    address: '239.10.10.10',
    port: 6001,
    ttl: 16,
    source: 'INTERFACE',
  });
  const hosts = { names: ['edge-1'], matchLabels: {} as Record<string, string> };
  const spec = { ...RelaySpec.fromPartial({ engine: 1 }), hosts, input, outputs: [output] };
  return { ...Relay.fromPartial({ name: 'relays/camera-7' }), spec, output };
}

function violations(subject: Relay, id = 'camera-7'): string[] {
  const found = validateRelay(subject, {
    path: 'relay',
    id,
    idPath: 'relay_id',
    hostExists: (host) => HOSTS.has(host),
  });
  return found.map(({ field, description }) => `${field}: ${description}`);
}

test('a valid relay has no violations', () => {
  expect(violations(relay())).toEqual([]);
});

test.each(['10.0.0.1', 'ff0e::1', 'fe80::1', '224.0.0.251'])('%s is taken as input', (group) => {
  const subject = relay(({ spec, output }) => {
    spec.input = { ...spec.input, group, sources: [] };
    output.address = '';
  });
  expect(violations(subject)).toEqual([]);
});

/** A valid output of an IPv6 relay. */
const sixOutput = RelayOutput.fromPartial({ interface: 'eth1', address: 'ff3e::2' });

type Change = Parameters<typeof relay>[0];
const bad: [string, Change, RegExp][] = [
  [
    'group that is no address',
    (r) => (r.spec.input.group = '239.1.1'),
    /^relay.spec.input.group: "239.1.1" is not a multicast group .*224.0.0.0 to/,
  ],
  ['group of letters', (r) => (r.spec.input.group = 'abc'), /^relay.spec.input.group: "abc" is not a multicast group/],
  [
    'unspecified group',
    (r) => (r.spec.input.group = '0.0.0.0'),
    /^relay.spec.input.group: 0.0.0.0 is not a multicast group/,
  ],
  [
    'broadcast group',
    (r) => (r.spec.input.group = '255.255.255.255'),
    /^relay.spec.input.group: 255.255.255.255 is not/,
  ],
  ['broadcast', (r) => (r.spec.input.group = '255.255.255.255'), /^relay.spec.input.group: 255.255.255.255 is not/],
  ['no address', (r) => (r.spec.input.group = '0.0.0.0'), /^relay.spec.input.group: 0.0.0.0 is not/],
  ['loopback input', (r) => (r.spec.input.group = '127.0.0.2'), /^relay.spec.input.group: 127.0.0.2 is a loopback/],
  [
    'loopback output',
    (r) => (r.output.address = '127.0.0.1'),
    /^relay.spec.outputs\[0\].address: 127.0.0.1 is a loopback address, .* or make lo the interface/,
  ],
  ['reserved group', (r) => (r.spec.input.group = '240.1.2.3'), /^relay.spec.input.group: 240.1.2.3 is not/],
  ['no group', (r) => (r.spec.input.group = ''), /^relay.spec.input.group: is missing/],
  ['PTP group', (r) => (r.spec.input.group = '224.0.1.129'), /^relay.spec.input.group: .*PTP/],
  ['PTP output', (r) => (r.output.address = '224.0.1.130'), /^relay.spec.outputs\[0\].address: .*PTP/],
  [
    'IPv6 PTP group',
    (r) => Object.assign(r.spec, { input: { ...r.spec.input, group: 'ff0e::181', sources: [] }, outputs: [sixOutput] }),
    /^relay.spec.input.group: ff0e::181 is a PTP group/,
  ],
  [
    'IPv6 group that never leaves its interface',
    (r) => Object.assign(r.spec, { input: { ...r.spec.input, group: 'ff01::1', sources: [] }, outputs: [sixOutput] }),
    /^relay.spec.input.group: ff01::1 is not a multicast group .* no packet can be sent to it/,
  ],
  [
    'IPv4 input with an IPv6 output',
    (r) => (r.spec.outputs = [sixOutput]),
    /^relay.spec.outputs\[0\].address: ff3e::2 is IPv6, but the input is IPv4: relays do not translate between them/,
  ],
  [
    'IPv6 input with an IPv4 output',
    (r) => Object.assign(r.spec.input, { group: 'ff3e::1', sources: [] }),
    /^relay.spec.outputs\[0\].address: 239.10.10.10 is IPv4, but the input is IPv6: relays do not translate between them/,
  ],
  ['input port 0', (r) => (r.spec.input.port = 0), /^relay.spec.input.port: 0 is not a UDP port/],
  ['output port 70000', (r) => (r.output.port = 70000), /^relay.spec.outputs\[0\].port: 70000 is not a UDP port/],
  ['ttl 0', (r) => (r.output.ttl = 0), /^relay.spec.outputs\[0\].ttl: 0 is not a TTL/],
  ['ttl 256', (r) => (r.output.ttl = 256), /^relay.spec.outputs\[0\].ttl: 256 is not a TTL/],
  ['dscp 64', (r) => (r.output.dscp = 64), /^relay.spec.outputs\[0\].dscp: 64 is not a DSCP/],
  ['source port 0', (r) => (r.output.sourcePort = 0), /^relay.spec.outputs\[0\].source_port: 0 is not a UDP port/],
  ['oversize 9', (r) => (r.output.oversize = 9 as never), /^relay.spec.outputs\[0\].oversize: 9 is not a policy/],
  [
    'lowest TTL 1',
    (r) => (r.spec.loopProtection = LoopProtection.fromPartial({ minTtl: 1 })),
    /^relay.spec.loop_protection.min_ttl: 1 is not a lowest TTL/,
  ],
  ['VLAN 0', (r) => (r.spec.input.vlan = 0), /^relay.spec.input.vlan: 0 is not a VLAN/],
  ['VLAN 4095', (r) => (r.spec.input.vlan = 4095), /^relay.spec.input.vlan: 4095 is not a VLAN/],
  [
    'a burst without a rate',
    (r) => (r.spec.rateLimit = RateLimit.fromPartial({ burstPackets: 3 })),
    /^relay.spec.rate_limit: limits nothing/,
  ],
  [
    'no packets per second',
    (r) => (r.spec.rateLimit = RateLimit.fromPartial({ packetsPerSecond: 0 })),
    /^relay.spec.rate_limit.packets_per_second: 0 is not a limit/,
  ],
  [
    'too many bits per second',
    (r) => (r.spec.rateLimit = RateLimit.fromPartial({ bitsPerSecond: 10n ** 12n + 1n })),
    /^relay.spec.rate_limit.bits_per_second: 1000000000001 is not a limit/,
  ],
  [
    'an endless burst',
    (r) => (r.spec.rateLimit = RateLimit.fromPartial({ packetsPerSecond: 1, burstPackets: 2 ** 32 - 1 })),
    /^relay.spec.rate_limit.burst_packets: 4294967295 is not a burst/,
  ],
  ['no input interface', (r) => (r.spec.input.interface = ''), /^relay.spec.input.interface: is missing/],
  ['long interface', (r) => (r.spec.input.interface = 'x'.repeat(16)), /^relay.spec.input.interface: .*15 bytes/],
  ['slash in interface', (r) => (r.output.interface = 'a/b'), /^relay.spec.outputs\[0\].interface: "a\/b" cannot be/],
  [
    'white space in interface',
    (r) => (r.output.interface = 'a b'),
    /^relay.spec.outputs\[0\].interface: "a b" cannot be/,
  ],
  ['escape in interface', (r) => (r.output.interface = 'a\u001b[0m'), /^relay.spec.outputs\[0\].interface: "a\\u001b/],
  ['multicast source', (r) => (r.spec.input.sources = ['239.1.1.1']), /^relay.spec.input.sources\[0\]: .*unicast/],
  [
    'source of the other family',
    (r) => (r.spec.input.sources = ['2001:db8::1']),
    /^relay.spec.input.sources\[0\]: .* is IPv6, but the input is IPv4/,
  ],
  [
    'source twice',
    (r) => (r.spec.input.sources = ['10.0.0.1', '10.0.0.1']),
    /^relay.spec.input.sources\[1\]: names source 10.0.0.1 again/,
  ],
  [
    'sources taken and excluded',
    (r) => (r.spec.input.excludeSources = ['10.0.0.1']),
    /^relay.spec.input.exclude_sources: cannot be given together with sources/,
  ],
  [
    'excluded source of the other family',
    (r) => Object.assign(r.spec.input, { sources: [], excludeSources: ['2001:db8::1'] }),
    /^relay.spec.input.exclude_sources\[0\]: .* is IPv6, but the input is IPv4/,
  ],
  [
    'too many sources',
    (r) => (r.spec.input.sources = Array.from({ length: 65 }, (_, i) => `10.0.0.${i}`)),
    /^relay.spec.input.sources: has 65/,
  ],
  [
    'output of the other family',
    (r) => (r.output.address = 'ff0e::1'),
    /^relay.spec.outputs\[0\].address: .* do not translate/,
  ],
  [
    'rewritten source of the other family',
    (r) => (r.output.source = '2001:db8::1'),
    /^relay.spec.outputs\[0\].source: .* is IPv6/,
  ],
  [
    'source keyword in lower case',
    (r) => (r.output.source = 'keep'),
    /^relay.spec.outputs\[0\].source: "keep" must be written KEEP/,
  ],
  ['no outputs', (r) => (r.spec.outputs = []), /^relay.spec.outputs: is empty/],
  [
    'too many outputs',
    (r) => (r.spec.outputs = Array.from({ length: 257 }, (_, i) => ({ ...r.output, port: 6000 + i }))),
    /^relay.spec.outputs: has 257/,
  ],
  ['engine 9', (r) => (r.spec.engine = 9 as never), /^relay.spec.engine: 9 is not an engine/],
  ['no hosts', (r) => (r.spec.hosts.names = []), /^relay.spec.hosts: selects no host/],
  [
    'unknown host',
    (r) => (r.spec.hosts.names = ['edge-9']),
    /^relay.spec.hosts.names\[0\]: host "edge-9" is not known: start its agent/,
  ],
  [
    'host with prefix',
    (r) => (r.spec.hosts.names = ['hosts/edge-1']),
    /^relay.spec.hosts.names\[0\]: .*without "hosts\/"/,
  ],
  [
    'host twice',
    (r) => (r.spec.hosts.names = ['edge-1', 'edge-1']),
    /^relay.spec.hosts.names\[1\]: names host "edge-1" again/,
  ],
  [
    'bad label in selector',
    (r) => (r.spec.hosts.matchLabels = { 'a b': 'c' }),
    /^relay.spec.hosts.match_labels\["a b"\]: key "a b"/,
  ],
  ['bad label value', (r) => (r.labels = { site: '-x-' }), /^relay.labels.site: value "-x-"/],
  [
    'too many labels',
    (r) => (r.labels = Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`k${i}`, 'v']))),
    /^relay.labels: has 65/,
  ],
  [
    'large annotations',
    (r) => (r.annotations = { note: 'x'.repeat(262_144) }),
    /^relay.annotations: takes 262148 bytes/,
  ],
  ['long display name', (r) => (r.displayName = 'é'.repeat(257)), /^relay.display_name: has 257 characters/],
];

test.each(bad)('one clear violation for: %s', (_, change, expected) => {
  const found = violations(relay(change));
  expect(found).toEqual([expect.stringMatching(expected)]);
});

test('PTP groups are taken on both sides where that is said', () => {
  const subject = relay((r) => {
    r.spec.allowPtp = true;
    r.spec.input.group = '224.0.1.129';
    r.output.address = '224.0.1.130';
  });
  expect(violations(subject)).toEqual([]);
});

test.each(['', 'Camera', '7up', 'a-', 'x'.repeat(64)])('refuses the name %j', (id) => {
  expect(violations(relay(), id)).toEqual([expect.stringMatching(/^relay_id: /)]);
});

test('all violations are told at once', () => {
  const subject = relay((r) => {
    r.spec.hosts.names = [];
    r.spec.input.port = 0;
    r.output.interface = '';
    r.output.ttl = 300;
  });
  const fields = validateRelay(subject, {
    path: 'relays[3]',
    id: 'A',
    idPath: 'relays[3].name',
    hostExists: () => true,
  });
  expect(fields.map(({ field }) => field)).toEqual([
    'relays[3].name',
    'relays[3].spec.hosts',
    'relays[3].spec.input.port',
    'relays[3].spec.outputs[0].interface',
    'relays[3].spec.outputs[0].ttl',
  ]);
});

test('an output that is the input is refused, with defaults filled in', () => {
  const same = RelayOutput.fromPartial({ interface: 'eth0', ttl: 4 });
  expect(violations(relay((r) => (r.spec.outputs = [same])))).toEqual([
    expect.stringMatching(/^relay.spec.outputs\[0\]: is the input itself: copies to 239.1.1.1:5001@eth0/),
  ]);
  expect(violations(relay((r) => (r.spec.outputs = [{ ...same, port: 5002 }])))).toEqual([]);
  const tagged = relay((r) => {
    r.spec.input.vlan = 7;
    r.spec.outputs = [same];
  });
  expect(violations(tagged)).toEqual([]);
  const anyPort = relay((r) => {
    r.spec.input.port = undefined;
    r.spec.outputs = [{ ...same, port: 5002 }];
  });
  expect(violations(anyPort)).toEqual([expect.stringMatching(/is the input itself/)]);
});

test('two outputs that are the same after defaults are refused', () => {
  const subject = relay((r) => {
    r.spec.outputs = [
      RelayOutput.fromPartial({ interface: 'eth1', ttl: 1 }),
      RelayOutput.fromPartial({ interface: 'eth1', address: '239.1.1.1', port: 5001, ttl: 9, source: 'KEEP' }),
    ];
  });
  expect(violations(subject)).toEqual([expect.stringMatching(/^relay.spec.outputs\[1\]: is the same as outputs\[0\]/)]);
});

test('of a field that is wrong nothing else is concluded', () => {
  const loop = relay((r) => {
    r.spec.input.port = 70_000;
    r.spec.outputs = [RelayOutput.fromPartial({ interface: 'eth0', address: '239.1.1.1', port: 70_000 })];
  });
  expect(violations(loop)).toEqual([
    'relay.spec.input.port: 70000 is not a UDP port: it must be 1 to 65535',
    'relay.spec.outputs[0].port: 70000 is not a UDP port: it must be 1 to 65535',
  ]);
  const twins = relay((r) => (r.spec.outputs = [r.output, r.output].map((one) => ({ ...one, interface: '' }))));
  expect(violations(twins)).toEqual([
    expect.stringMatching(/^relay.spec.outputs\[0\].interface: is missing/),
    expect.stringMatching(/^relay.spec.outputs\[1\].interface: is missing/),
  ]);
  const kernel = relay((r) => {
    r.spec.engine = RelayEngine.KERNEL;
    r.spec.input = RelayInput.fromPartial({ interface: 'eth0', group: '127.0.0.1' });
    r.spec.outputs = [RelayOutput.fromPartial({ interface: 'eth1', address: 'ff3e::1', source: 'keep' })];
  });
  expect(violations(kernel)).toEqual([
    expect.stringMatching(/^relay.spec.input.group: 127.0.0.1 is a loopback address/),
    expect.stringMatching(/^relay.spec.outputs\[0\].address: ff3e::1 is IPv6, but the input is IPv4/),
    'relay.spec.outputs[0].source: "keep" must be written KEEP',
  ]);
});

test('what is wrong beside a field that is wrong is told', () => {
  const ptp = relay((r) => {
    r.spec.input.group = '224.0.1.129';
    r.spec.outputs = [r.output, { ...r.output, address: 'ff3e::1' }, { ...r.output, port: 6002 }, r.output];
  });
  expect(violations(ptp)).toEqual([
    expect.stringMatching(/^relay.spec.input.group: 224.0.1.129 is a PTP group/),
    expect.stringMatching(/^relay.spec.outputs\[1\].address: ff3e::1 is IPv6, but the input is IPv4/),
    expect.stringMatching(/^relay.spec.outputs\[3\]: is the same as outputs\[0\]/),
  ]);
  const twins = relay((r) => {
    r.spec.input.group = 'x';
    r.spec.outputs = [r.output, r.output].map((one) => ({ ...one, address: '' }));
  });
  expect(violations(twins)).toEqual([
    expect.stringMatching(/^relay.spec.input.group: "x" is not/),
    expect.stringMatching(/^relay.spec.outputs\[1\]: is the same as outputs\[0\]/),
  ]);
  const many = relay((r) => (r.spec.hosts.names = ['nobody', ...Array<string>(1000).fill('edge-1')]));
  expect(violations(many)).toHaveLength(1 + 1 + 998);
});

test('engine KERNEL is refused whatever needs rewriting or ports', () => {
  const subject = relay((r) => {
    r.spec.engine = RelayEngine.KERNEL;
    r.spec.rateLimit = RateLimit.fromPartial({ packetsPerSecond: 9 });
    r.spec.loopProtection = LoopProtection.fromPartial({ minTtl: 9 });
    r.spec.outputs = [{ ...r.output, dscp: 46, sourcePort: 9, oversize: 2 }];
    r.spec.input = { ...r.spec.input, group: '224.0.0.251', vlan: 7, sources: [], excludeSources: ['10.0.0.1'] };
  });
  expect(violations(subject)).toEqual([
    expect.stringMatching(/^relay.spec.input.port: engine KERNEL takes every port/),
    expect.stringMatching(/^relay.spec.input.vlan: engine KERNEL sees no VLAN/),
    expect.stringMatching(/^relay.spec.input.exclude_sources: engine KERNEL takes one source or all/),
    expect.stringMatching(/^relay.spec.input.group: the kernel never routes 224.0.0.0\/24/),
    expect.stringMatching(/^relay.spec.rate_limit: engine KERNEL passes on all/),
    expect.stringMatching(/^relay.spec.loop_protection.min_ttl: engine KERNEL takes every TTL/),
    expect.stringMatching(/^relay.spec.outputs\[0\].address: engine KERNEL cannot rewrite/),
    expect.stringMatching(/^relay.spec.outputs\[0\].port: engine KERNEL cannot rewrite/),
    expect.stringMatching(/^relay.spec.outputs\[0\].ttl: engine KERNEL cannot rewrite/),
    expect.stringMatching(/^relay.spec.outputs\[0\].source: engine KERNEL cannot rewrite/),
    expect.stringMatching(/^relay.spec.outputs\[0\].dscp: engine KERNEL cannot rewrite/),
    expect.stringMatching(/^relay.spec.outputs\[0\].source_port: engine KERNEL cannot rewrite/),
    expect.stringMatching(/^relay.spec.outputs\[0\].oversize: engine KERNEL fragments/),
  ]);
});

test('engine KERNEL takes a group as it is, and only groups', () => {
  const plain = (group: string): Relay =>
    relay((r) => {
      r.spec.engine = RelayEngine.KERNEL;
      r.spec.input = RelayInput.fromPartial({ interface: 'eth0', group });
      r.spec.outputs = [RelayOutput.fromPartial({ interface: 'eth1', address: group, source: 'KEEP' })];
    });
  expect(violations(plain('239.1.1.1'))).toEqual([]);
  expect(violations(plain('10.0.0.1'))).toEqual([expect.stringMatching(/^relay.spec.input.group: .*groups only/)]);
});
