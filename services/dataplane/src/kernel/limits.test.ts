import { ProgrammedRelay } from '@mcfleet/proto/mcfleet/v1/dataplane_service';
import { OversizePolicy } from '@mcfleet/proto/mcfleet/v1/relay';
import { expect, test } from 'vitest';
import { kernelLimits } from './limits.ts';

const group = '239.1.1.1';
const output = { key: 'k', ifindex: 3, address: group };

function limits(fields: object): string[] {
  const relay = { uid: 'u', inputIfindex: 2, group, outputs: [output], ...fields };
  return kernelLimits(ProgrammedRelay.fromPartial(relay)).map(({ field }) => field);
}

test('groups from some sources or any, to other interfaces, are within the limits', () => {
  expect(limits({})).toEqual([]);
  expect(limits({ sources: ['10.0.0.1', '10.0.0.2'] })).toEqual([]);
  expect(limits({ loopProtection: { minTtl: undefined, keepDuplicates: true } })).toEqual([]);
  const outputs = [output, { ...output, ifindex: 4 }, { ...output, ifindex: 0 }, { ...output, ifindex: 0 }];
  expect(limits({ outputs })).toEqual([]);
  expect(limits({ group: 'ff3e::1', outputs: [{ ...output, address: 'ff3e::1' }] })).toEqual([]);
});

test('everything that the kernel cannot do is told at once', () => {
  const rewriting = {
    ...{ key: 'k', ifindex: 3, address: '239.2.2.2', port: 6001, ttl: 16, source: '10.1.1.1', dscp: 46 },
    ...{ sourcePort: 7000, oversize: OversizePolicy.DROP },
  };
  const relay = {
    ...{ group: '224.0.0.251', port: 5001, vlan: 7, excludeSources: ['10.0.0.1'] },
    ...{ rateLimit: { packetsPerSecond: 9 }, loopProtection: { minTtl: 9 }, outputs: [rewriting, rewriting] },
  };
  const ofOutput = ['address', 'port', 'ttl', 'source', 'dscp', 'source_port', 'oversize'];
  expect(limits(relay)).toEqual([
    ...['group', 'port', 'vlan', 'exclude_sources', 'rate_limit', 'loop_protection.min_ttl'],
    ...ofOutput.map((field) => `outputs[0].${field}`),
    ...ofOutput.map((field) => `outputs[1].${field}`),
    'outputs[1].ifindex',
  ]);
});

test.each(['10.0.0.1', '2001:db8::1', '224.0.0.1', 'ff02::1', 'ff01::1'])(
  '%s is no group that it routes',
  (address) => {
    expect(limits({ group: address, outputs: [{ ...output, address }] })).toEqual(['group']);
  },
);
