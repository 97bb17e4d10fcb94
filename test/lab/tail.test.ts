import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Tail } from './tail.ts';

it('keeps exactly the last bytes, whatever the pieces are', () => {
  fc.assert(
    fc.property(fc.array(fc.stringMatching(/^[a-z]{0,9}$/)), fc.integer({ min: 1, max: 20 }), (pieces, limit) => {
      const tail = new Tail(limit);
      for (const piece of pieces) tail.push(Buffer.from(piece));
      expect(tail.text()).toBe(pieces.join('').slice(-limit));
    }),
  );
});
