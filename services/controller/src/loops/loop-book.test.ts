import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { PlacedRelay } from './find-loops.ts';
import { LoopBook } from './loop-book.ts';
import { allWays } from './testing/all-ways.ts';
import { networksArbitrary, nothingKnown, placed, relayArbitrary } from './testing/relays.ts';

test('what is kept up with each change is what is found anew', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(5), fc.option(relayArbitrary, { nil: undefined })), { maxLength: 15 }),
      networksArbitrary,
      (changes, networks) => {
        const relays = new Map<string, PlacedRelay>();
        const book = new LoopBook((key) => relays.get(key), networks);
        const told = new Map<string, unknown>();
        for (const [number, relay] of changes) {
          const key = `r${number}`;
          if (relay === undefined) relays.delete(key);
          else relays.set(key, { key, ...relay });
          for (const changed of book.update([key])) told.set(changed, book.loopOf(changed));
          const wanted = allWays([...relays.values()], networks);
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
