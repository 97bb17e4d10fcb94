import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { contentHash, stateHash } from './state-hash.ts';

const relays = fc.uniqueArray(
  fc.record({ uid: fc.uuid(), generation: fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }), contentHash: fc.uint8Array() }),
  { selector: (relay) => relay.uid, maxLength: 20 },
);

test('it is what sha256sum says of the documented lines', () => {
  const sum = (text: string): string => execFileSync('sha256sum', { input: text }).toString().slice(0, 32);
  expect(contentHash(Buffer.from('abc')).toString('hex')).toBe(sum('abc'));
  expect(stateHash([]).toString('hex')).toBe(sum(''));
  const two = [
    { uid: 'b', generation: 2n, contentHash: Buffer.from([0xff]) },
    { uid: 'a', generation: 1n, contentHash: Buffer.from([0x0a]) },
  ];
  expect(stateHash(two).toString('hex')).toBe(sum('a 1 0a\nb 2 ff\n'));
});

test('the order does not matter, every change does', () => {
  fc.assert(
    fc.property(relays, fc.nat(), (list, at) => {
      const hash = stateHash(list);
      expect(stateHash(list.toReversed())).toEqual(hash);
      const one = list[at % Math.max(1, list.length)];
      if (one === undefined) return;
      const changed = list.map((relay) => (relay === one ? { ...relay, generation: relay.generation + 1n } : relay));
      expect(stateHash(changed)).not.toEqual(hash);
      expect(stateHash(list.filter((relay) => relay !== one))).not.toEqual(hash);
    }),
  );
});
