import { Relay } from '@mcfleet/proto/mcfleet/v1/relay';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { diffJson } from './field-diff.ts';
import { diffRelays, specDiffers } from './relay-diff.ts';

const before = Relay.fromPartial({
  labels: { site: 'a', 'example.com/x': '1' },
  managedBy: 'mcfleet',
  spec: { engine: 1, input: { interface: 'eth0', group: '239.1.1.1' }, outputs: [{ interface: 'eth1', port: 6001 }] },
});

test('names every field that changes, with its values as ProtoJSON', () => {
  const after = Relay.fromPartial({
    labels: { site: 'b', newKey: '2' },
    managedBy: 'mcfleet',
    spec: {
      engine: 2,
      hosts: { names: ['h'], matchLabels: { matchLabels: 'x' } },
      input: { interface: 'eth0', group: '239.1.1.1', port: 5001 },
      outputs: [{ interface: 'eth1', port: 6002 }, { interface: 'eth2' }],
    },
  });
  expect(diffRelays(before, after)).toEqual([
    { path: 'labels.site', oldJson: '"a"', newJson: '"b"' },
    { path: 'labels.newKey', oldJson: '', newJson: '"2"' },
    { path: 'labels["example.com/x"]', oldJson: '"1"', newJson: '' },
    { path: 'spec.hosts', oldJson: '', newJson: '{"names":["h"],"matchLabels":{"matchLabels":"x"}}' },
    { path: 'spec.engine', oldJson: '"RELAY_ENGINE_AUTO"', newJson: '"RELAY_ENGINE_USERSPACE"' },
    { path: 'spec.input.port', oldJson: '', newJson: '5001' },
    { path: 'spec.outputs[0].port', oldJson: '6001', newJson: '6002' },
    { path: 'spec.outputs[1]', oldJson: '', newJson: '{"interface":"eth2"}' },
  ]);
  expect(specDiffers(before, after)).toBe(true);
});

test('entries of a map that was or becomes empty are told one by one', () => {
  const bare = { ...before, labels: {} };
  expect(diffRelays(bare, { ...before, labels: { site: 'a' } })).toEqual([
    { path: 'labels.site', oldJson: '', newJson: '"a"' },
  ]);
  expect(diffRelays({ ...before, labels: { site: 'a' } }, bare)).toEqual([
    { path: 'labels.site', oldJson: '"a"', newJson: '' },
  ]);
});

test('metadata alone leaves the spec as it is', () => {
  expect(specDiffers(before, { ...before, labels: {} })).toBe(false);
});

test('there is no difference exactly if both are the same', () => {
  const json = fc.object({ maxDepth: 3, values: [fc.nat(3), fc.constantFrom('a', 'b'), fc.boolean()] });
  fc.assert(
    fc.property(json, json, (a, b) => {
      expect(diffJson(a, structuredClone(a), new Set())).toEqual([]);
      const same = JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
      expect(diffJson(a, b, new Set()).length === 0).toBe(same);
    }),
    { numRuns: 500 },
  );
});

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, child]) => [key, sorted(child)]),
  );
}
