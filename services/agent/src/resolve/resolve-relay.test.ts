import { status } from '@grpc/grpc-js';
import { fromRpcStatus } from '@mcfleet/common/status-details';
import type { InterfaceFacts } from '@mcfleet/native';
import { RelayAssignment } from '@mcfleet/proto/mcfleet/v1/agent_service';
import {
  LoopProtection,
  OversizePolicy,
  RateLimit,
  RelayEngine,
  RelayInput,
  RelayOutput,
} from '@mcfleet/proto/mcfleet/v1/relay';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { directedBroadcast } from './local-addresses.ts';
import { byName } from './local-interfaces.ts';
import { problemStatus } from './problem.ts';
import { type LocalFacts, resolveRelay } from './resolve-relay.ts';

const UP = 0x1 | 0x10000;

function link(name: string, index: number, more: Partial<InterfaceFacts> = {}): InterfaceFacts {
  const base = { mac: '', mtu: 1500, flags: UP, type: 1, operState: 'up', kind: 'veth' };
  return { name, index, addresses: [`192.0.2.${index}/24`], ...base, ...more };
}

function facts(...links: InterfaceFacts[]): LocalFacts {
  return { interfaces: byName(links), capabilities: new Set(['engine.userspace.v4']) };
}

const assignment = RelayAssignment.fromPartial({
  uid: 'u1',
  name: 'relays/camera-7',
  generation: 3n,
  relay: {
    engine: RelayEngine.AUTO,
    input: { interface: 'in0', group: '239.1.1.1', port: 5001 },
    outputs: [
      { interface: 'out0', address: '239.10.10.10', port: 6001 },
      { interface: 'out1', address: '239.10.10.10', port: 6001, ttl: 16, source: 'KEEP' },
    ],
  },
});

function variant(change: (relay: NonNullable<RelayAssignment['relay']>) => void): RelayAssignment {
  const copy = RelayAssignment.fromPartial(assignment);
  if (copy.relay !== undefined) change(copy.relay);
  return copy;
}

describe('resolveRelay', () => {
  it('resolves names to indexes, and INTERFACE to the first IPv4 address of the output', () => {
    const out0 = link('out0', 5, { addresses: ['fe80::1/64', '198.51.100.5/24', '198.51.100.6/24'] });
    const plan = resolveRelay(assignment, facts(link('in0', 4), out0, link('out1', 6)));
    expect(plan).toMatchObject({
      verdict: 'forward',
      problem: undefined,
      outputsDown: [],
      engineReason: 'REWRITE_REQUESTED',
    });
    expect(plan.program).toMatchObject({
      uid: 'u1',
      generation: 3n,
      inputIfindex: 4,
      group: '239.1.1.1',
      port: 5001,
      outputs: [
        { key: '239.10.10.10:6001@out0', ifindex: 5, address: '239.10.10.10', port: 6001, source: '198.51.100.5' },
        { key: '239.10.10.10:6001@out1', ifindex: 6, ttl: 16, source: '' },
      ],
    });
    expect(plan.program?.digest).toHaveLength(16);
  });

  it('keeps the arriving port and group where the output names none', () => {
    const bare = variant((relay) => {
      relay.input = RelayInput.fromPartial({ ...relay.input, vlan: 7 });
      relay.loopProtection = LoopProtection.fromPartial({ minTtl: 9 });
      relay.rateLimit = RateLimit.fromPartial({ packetsPerSecond: 9 });
      relay.outputs = [RelayOutput.fromPartial({ interface: 'out0', source: '10.0.0.9', dscp: 46, oversize: 2 })];
    });
    const plan = resolveRelay(bare, facts(link('in0', 4), link('out0', 5)));
    expect(plan.program?.vlan).toBe(7);
    expect(plan.program?.loopProtection).toEqual(bare.relay?.loopProtection);
    expect(plan.program?.rateLimit).toEqual(bare.relay?.rateLimit);
    expect(plan.program?.outputs).toMatchObject([
      {
        key: '239.1.1.1:5001@out0',
        ifindex: 5,
        address: '239.1.1.1',
        port: undefined,
        ttl: undefined,
        source: '10.0.0.9',
        dscp: 46,
        sourcePort: undefined,
        oversize: OversizePolicy.DROP,
      },
    ]);
  });

  it('waits for a missing input, and names it', () => {
    const plan = resolveRelay(assignment, facts(link('out0', 5), link('out1', 6)));
    expect(plan).toMatchObject({ verdict: 'waiting', problem: { reason: 'InterfaceNotFound' } });
    expect(plan.problem?.message).toMatch(/^input interface in0 does not exist/);
    expect(plan.program).toMatchObject({ inputIfindex: 0, outputs: [{ ifindex: 5 }, { ifindex: 6 }] });
  });

  it('waits for the unicast address that it takes, on whichever interface the host gets it', () => {
    const unicast = variant((relay) => {
      relay.input = RelayInput.fromPartial({ ...relay.input, group: '198.51.100.9' });
    });
    const others = [link('out0', 5), link('out1', 6)];
    const plan = resolveRelay(unicast, facts(link('in0', 4), ...others));
    expect(plan).toMatchObject({ verdict: 'waiting', problem: { reason: 'AddressNotLocal' } });
    expect(plan.problem?.message).toMatch(
      /^input address 198\.51\.100\.9 is neither .* on in0; forwarding starts by itself/,
    );
    expect(plan.program).toMatchObject({ inputIfindex: 0, group: '198.51.100.9' });
    const addresses = ['192.0.2.4/24', '198.51.100.9/32'];
    for (const interfaces of [
      [link('in0', 4, { addresses }), ...others],
      [link('in0', 4), link('lo', 1, { addresses }), ...others],
    ]) {
      expect(resolveRelay(unicast, facts(...interfaces))).toMatchObject({
        verdict: 'forward',
        program: { inputIfindex: 4 },
      });
    }
    expect(resolveRelay(unicast, facts(...others)).problem?.reason).toBe('InterfaceNotFound');
  });

  it('holds an output to the broadcast address of its interface', () => {
    const toBroadcast = variant((relay) => {
      relay.outputs = [
        RelayOutput.fromPartial({ interface: 'out0', address: '192.0.2.255' }),
        RelayOutput.fromPartial({ interface: 'out1', address: '192.0.2.255' }),
      ];
    });
    const links = [link('in0', 4), link('out0', 5), link('out1', 6, { addresses: ['192.0.2.254/31'] })];
    const plan = resolveRelay(toBroadcast, facts(...links));
    expect(plan.outputsDown).toMatchObject([{ problem: { reason: 'BroadcastAddress' } }]);
    expect(plan.program?.outputs.map(({ ifindex }) => ifindex)).toEqual([0, 6]);
  });

  it.each([
    ['10.2.0.1/24', '10.2.0.255'],
    ['10.2.3.4/8', '10.255.255.255'],
    ['223.255.255.1/20', '223.255.255.255'],
    ['10.0.0.1/30', '10.0.0.3'],
    ['10.0.0.1/31', undefined],
    ['10.0.0.1/32', undefined],
    ['fe80::1/64', undefined],
  ])('knows that the broadcast address of %s is %s', (cidr, expected) => {
    expect(directedBroadcast(cidr)).toBe(expected);
  });

  it('loses only the output whose interface is missing or has no address', () => {
    const missing = resolveRelay(assignment, facts(link('in0', 4), link('out0', 5)));
    expect(missing.verdict).toBe('forward');
    expect(missing.outputsDown).toMatchObject([
      { key: '239.10.10.10:6001@out1', problem: { reason: 'InterfaceNotFound' } },
    ]);
    expect(missing.outputsDown[0]?.problem.message).toMatch(/^output interface out1 does not exist/);
    expect(missing.program).toMatchObject({ inputIfindex: 4, outputs: [{ ifindex: 5 }, { ifindex: 0 }] });

    const addressless = resolveRelay(
      assignment,
      facts(link('in0', 4), link('out0', 5, { addresses: [] }), link('out1', 6)),
    );
    expect(addressless.outputsDown).toMatchObject([{ problem: { reason: 'NoInterfaceAddress' } }]);
    expect(addressless.program?.outputs.map(({ ifindex }) => ifindex)).toEqual([0, 6]);
  });

  it('waits when no output is left', () => {
    const plan = resolveRelay(assignment, facts(link('in0', 4)));
    expect(plan).toMatchObject({ verdict: 'waiting', problem: { reason: 'InterfaceNotFound' } });
    expect(plan.problem?.message).toMatch(/^output interface out0 .*; output interface out1 /);
    // Its stream is not joined in vain.
    expect(plan.program).toMatchObject({ inputIfindex: 0, outputs: [{ ifindex: 0 }, { ifindex: 0 }] });
  });

  it('names all that is missing, with its direction', () => {
    const plan = resolveRelay(assignment, facts(link('out0', 5)));
    expect(plan.problem?.message).toMatch(/^input interface in0 .*; output interface out1 /);
    expect(plan.problem?.message).not.toContain('out0');
  });

  it('keeps a link that is down in the program, and says that it is down', () => {
    const down = resolveRelay(
      assignment,
      facts(link('in0', 4), link('out0', 5, { flags: 0 }), link('out1', 6, { flags: 1 })),
    );
    expect(down).toMatchObject({ verdict: 'waiting', problem: { reason: 'InterfaceDown' } });
    expect(down.outputsDown.map(({ problem }) => problem.reason)).toEqual(['InterfaceDown', 'NoCarrier']);
    expect(down.program?.outputs).toHaveLength(2);
    const inputDown = resolveRelay(assignment, facts(link('in0', 4, { flags: 0 }), link('out0', 5), link('out1', 6)));
    expect(inputDown).toMatchObject({ verdict: 'waiting', problem: { reason: 'InterfaceDown' } });
    expect(inputDown.program).toBeDefined();
  });

  it('gives an interface that came back under another index another digest', () => {
    const before = resolveRelay(assignment, facts(link('in0', 4), link('out0', 5), link('out1', 6)));
    const after = resolveRelay(assignment, facts(link('in0', 9), link('out0', 5), link('out1', 6)));
    expect(after.program?.digest.equals(before.program?.digest ?? Buffer.alloc(0))).toBe(false);
  });

  it('keeps the source with the kernel engine, also where the interface has no address', () => {
    const kernel = variant((relay) => {
      relay.engine = RelayEngine.KERNEL;
      relay.outputs = [RelayOutput.fromPartial({ interface: 'out0' })];
    });
    const links = [link('in0', 4), link('out0', 5, { addresses: [] })];
    const plan = resolveRelay(kernel, { ...facts(...links), capabilities: new Set(['engine.kernel.v4']) });
    expect(plan).toMatchObject({ verdict: 'forward', engine: RelayEngine.KERNEL, engineReason: 'REQUESTED' });
    expect(plan.program).toMatchObject({ engine: RelayEngine.KERNEL, outputs: [{ ifindex: 5, source: '' }] });
  });

  it('refuses the kernel engine where there is none, and IPv6 where it cannot be forwarded', () => {
    const kernel = variant((relay) => {
      relay.engine = RelayEngine.KERNEL;
    });
    const links = [link('in0', 4), link('out0', 5), link('out1', 6)];
    const refused = resolveRelay(kernel, facts(...links));
    expect(refused).toMatchObject({
      verdict: 'refused',
      program: undefined,
      problem: { reason: 'EngineUnavailable', code: status.FAILED_PRECONDITION },
    });
    expect(refused.problem?.message).toContain('AUTO or USERSPACE');
    const v6 = variant((relay) => {
      if (relay.input !== undefined) relay.input.group = 'ff0e::1';
      for (const output of relay.outputs) output.address = 'ff0e::2';
    });
    expect(resolveRelay(v6, facts(...links))).toMatchObject({
      verdict: 'refused',
      problem: { reason: 'Ipv6NotSupported' },
    });
    const capable = { ...facts(...links), capabilities: new Set(['engine.userspace.v6']) };
    expect(resolveRelay(v6, capable).outputsDown).toMatchObject([{ problem: { reason: 'NoInterfaceAddress' } }]);
    const out0 = link('out0', 5, { addresses: ['fe80::5/64', '2001:db8::5/64'] });
    const plan = resolveRelay(v6, { ...capable, interfaces: byName([link('in0', 4), out0, link('out1', 6)]) });
    expect(plan).toMatchObject({ verdict: 'forward', engine: RelayEngine.USERSPACE, outputsDown: [] });
    expect(plan.program?.outputs).toMatchObject([
      { key: '[ff0e::2]:6001@out0', address: 'ff0e::2', source: '2001:db8::5' },
      { key: '[ff0e::2]:6001@out1', address: 'ff0e::2', source: '' },
    ]);
    expect(plan.warnings).toEqual(new Map());
    // It forwards without a global address, and says so; the output that keeps the source sends what arrives.
    const local = link('out0', 5, { addresses: ['fe80::5/64'] });
    const warned = resolveRelay(v6, { ...capable, interfaces: byName([link('in0', 4), local, link('out1', 6)]) });
    expect(warned.program?.outputs).toMatchObject([{ source: 'fe80::5' }, { source: '' }]);
    expect(warned.warnings).toEqual(new Map([['[ff0e::2]:6001@out0', 'LinkLocalSource']]));
  });

  it('refuses an assignment without input or outputs', () => {
    const empty = RelayAssignment.fromPartial({ uid: 'u', name: 'relays/x', generation: 1n });
    expect(resolveRelay(empty, facts())).toMatchObject({
      verdict: 'refused',
      problem: { reason: 'InvalidAssignment' },
    });
  });

  it('never programs an interface that is not there, and accounts for every output, whatever the host looks like', () => {
    const presence = fc.record({ there: fc.boolean(), flags: fc.constantFrom(0, 1, UP), addressed: fc.boolean() });
    fc.assert(
      fc.property(presence, presence, presence, (in0, out0, out1) => {
        const links = [in0, out0, out1].flatMap(({ there, flags, addressed }, i) =>
          there
            ? [link(['in0', 'out0', 'out1'][i] ?? '', 4 + i, { flags, ...(addressed ? {} : { addresses: [] }) })]
            : [],
        );
        const plan = resolveRelay(assignment, facts(...links));
        const indexes = new Set([0, ...links.map(({ index }) => index)]);
        expect(indexes.has(plan.program?.inputIfindex ?? -1)).toBe(true);
        expect(plan.program?.outputs.map(({ key }) => key)).toEqual(plan.outputs);
        for (const output of plan.program?.outputs ?? []) expect(indexes.has(output.ifindex)).toBe(true);
        const sends = plan.program?.outputs.some(({ ifindex }) => ifindex !== 0) === true;
        if (!sends) expect(plan.program?.inputIfindex).toBe(0);
        if (plan.verdict === 'forward') expect(plan.program?.inputIfindex).not.toBe(0);
        if (plan.verdict === 'forward') {
          const down = new Set(plan.outputsDown.map(({ key }) => key));
          const working = plan.program?.outputs.filter(({ key }) => !down.has(key)) ?? [];
          expect(working.length).toBeGreaterThan(0);
          expect(working.length + down.size).toBe(plan.outputs.length);
        } else {
          expect(plan.problem).toBeDefined();
        }
      }),
    );
  });
});

describe('problemStatus', () => {
  it('carries the reason where the controller reads it', () => {
    const problem = { code: status.FAILED_PRECONDITION, reason: 'InterfaceNotFound', message: 'no in0' };
    expect(fromRpcStatus(problemStatus(problem))).toMatchObject(problem);
  });
});
