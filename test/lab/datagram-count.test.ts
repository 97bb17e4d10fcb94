import fc from 'fast-check';
import { expect, test } from 'vitest';
import { datagramsIn, framesBetween } from './datagram-count.ts';

test('counts datagrams in any mixture of single frames and super-frames', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 48, max: 9_000 }),
      fc.array(fc.integer({ min: 1, max: 64 }), { maxLength: 50 }),
      fc.constantFrom([4, 20] as const, [6, 40] as const),
      (size, superFrames, [family, header]) => {
        const bytes = superFrames.reduce((sum, segments) => sum + 14 + header + 8 + segments * size, 0);
        const datagrams = superFrames.reduce((sum, segments) => sum + segments, 0);
        expect(datagramsIn({ frames: superFrames.length, bytes }, size, family)).toBe(datagrams);
      },
    ),
  );
});

test('an ARP request and an IGMP report among them do not count', () => {
  const before = { frames: 7, bytes: 700 };
  const after = { frames: 7 + 1_000 + 2, bytes: 700 + 1_000 * (1316 + 42) + 42 + 54 };
  expect(datagramsIn(framesBetween(before, after), 1316)).toBe(1_000);
});
