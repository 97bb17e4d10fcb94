import { ResolvedRelay } from '@mcfleet/proto/mcfleet/v1/agent_service';
import {
  LoopProtection,
  OversizePolicy,
  RateLimit,
  RelayEngine,
  type RelayOutput,
} from '@mcfleet/proto/mcfleet/v1/relay';
import { describe, expect, it } from 'vitest';
import { chooseEngine } from './engine-choice.ts';
import { outputKeys } from './output-key.ts';

interface Shape {
  readonly engine?: RelayEngine;
  readonly group?: string;
  readonly port?: number;
  readonly vlan?: number;
  readonly excludeSources?: string[];
  readonly rateLimit?: RateLimit;
  readonly loopProtection?: LoopProtection;
  readonly output?: Partial<RelayOutput>;
}

function relay({
  engine = RelayEngine.AUTO,
  group = '239.1.1.1',
  output = {},
  rateLimit,
  loopProtection,
  ...input
}: Shape): ResolvedRelay {
  return ResolvedRelay.fromPartial({
    engine,
    input: { interface: 'in0', group, ...input },
    outputs: [{ interface: 'out0', address: group, ...output }],
    ...(rateLimit === undefined ? {} : { rateLimit }),
    ...(loopProtection === undefined ? {} : { loopProtection }),
  });
}

describe('chooseEngine', () => {
  it.each<[string, Shape]>([
    ['REQUESTED', { engine: RelayEngine.USERSPACE }],
    ['UNICAST_INPUT', { group: '192.0.2.1' }],
    ['VLAN_REQUESTED', { vlan: 7, output: { source: 'KEEP' } }],
    ['SOURCES_EXCLUDED', { excludeSources: ['10.0.0.1'], output: { source: 'KEEP' } }],
    ['RATE_LIMITED', { rateLimit: RateLimit.fromPartial({ packetsPerSecond: 9 }), output: { source: 'KEEP' } }],
    ['MIN_TTL_REQUESTED', { loopProtection: LoopProtection.fromPartial({ minTtl: 9 }), output: { source: 'KEEP' } }],
    ['UNICAST_OUTPUT', { output: { address: '192.0.2.1' } }],
    ['REWRITE_REQUESTED', { output: { address: '239.2.2.2' } }],
    ['REWRITE_REQUESTED', { port: 5001, output: { port: 6001 } }],
    ['REWRITE_REQUESTED', { output: { ttl: 4 } }],
    ['REWRITE_REQUESTED', { output: { source: 'INTERFACE' } }],
    ['REWRITE_REQUESTED', { output: { dscp: 0 } }],
    ['REWRITE_REQUESTED', { output: { sourcePort: 5001 } }],
    ['REWRITE_REQUESTED', { output: { oversize: OversizePolicy.DROP } }],
    ['KERNEL_ENGINE_UNAVAILABLE', { output: { oversize: OversizePolicy.FRAGMENT, source: 'KEEP' } }],
    ['PORT_REQUESTED', { port: 5001, output: { port: 5001 } }],
    ['LINK_LOCAL_GROUP', { group: '224.0.0.251' }],
    ['KERNEL_ENGINE_UNAVAILABLE', { output: { source: 'KEEP' } }],
  ])('uses the userspace engine, reason %s, for %o', (reason, shape) => {
    expect(chooseEngine(relay(shape), new Set())).toEqual({ engine: RelayEngine.USERSPACE, reason });
  });

  it('says of a relay that the kernel engine could forward that it is used on request', () => {
    const could = relay({ output: { source: 'KEEP' } });
    const reasonWith = (...capabilities: string[]): unknown => chooseEngine(could, new Set(capabilities));
    expect(reasonWith('engine.kernel.v4')).toEqual({ engine: RelayEngine.USERSPACE, reason: 'KERNEL_ON_REQUEST' });
    expect(reasonWith('engine.kernel.v6')).toMatchObject({ reason: 'KERNEL_ENGINE_UNAVAILABLE' });
  });

  it('takes the kernel engine when it is asked for and there', () => {
    const asked = relay({ engine: RelayEngine.KERNEL });
    expect(chooseEngine(asked, new Set(['engine.kernel.v4']))).toEqual({
      engine: RelayEngine.KERNEL,
      reason: 'REQUESTED',
    });
    expect(chooseEngine(asked, new Set())).toMatchObject({ reason: 'EngineUnavailable' });
  });
});

describe('outputKeys', () => {
  it('names outputs as people write them, and tells equal ones apart', () => {
    const several = ResolvedRelay.fromPartial({
      input: { interface: 'in0', group: 'ff0e::1', port: 5 },
      outputs: [{ interface: 'a' }, { interface: 'a', ttl: 3 }, { interface: 'b', address: '239.1.1.1', port: 7 }],
    });
    expect(outputKeys(several)).toEqual(['[ff0e::1]:5@a', '[ff0e::1]:5@a#2', '239.1.1.1:7@b']);
    const anyPort = ResolvedRelay.fromPartial({
      input: { interface: 'i', group: '239.1.1.1' },
      outputs: [{ interface: 'c' }],
    });
    expect(outputKeys(anyPort)).toEqual(['239.1.1.1@c']);
  });
});
