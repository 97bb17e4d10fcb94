import { expect } from 'vitest';
import type { Carried } from '../fleet/relay-path.ts';

/** Every packet of a stream arrived, once, unchanged; and there was a stream. */
export function expectAll({ sent, received }: Carried): void {
  expect(sent.sent).toBeGreaterThan(0);
  const { received: packets, lost, duplicates, corrupt, first_sequence, last_sequence } = received;
  expect({ packets, lost, duplicates, corrupt, first_sequence, last_sequence }).toEqual({
    packets: sent.sent,
    lost: 0,
    duplicates: 0,
    corrupt: 0,
    first_sequence: 0,
    last_sequence: sent.sent - 1,
  });
}
