import { expect } from 'vitest';
import type { Carried } from '../fleet/relay-path.ts';

/**
 * Every packet of a stream arrived, once, unchanged; and there was a stream.
 *
 * @param account told with a failure: where packets may have been lost.
 */
export function expectAll({ sent, received }: Carried, account?: string): void {
  expect(sent.sent).toBeGreaterThan(0);
  const { received: packets, lost, duplicates, corrupt, receiver_drops, first_sequence, last_sequence } = received;
  expect({ packets, lost, duplicates, corrupt, receiver_drops, first_sequence, last_sequence }, account).toEqual({
    packets: sent.sent,
    lost: 0,
    duplicates: 0,
    corrupt: 0,
    receiver_drops: 0,
    first_sequence: 0,
    last_sequence: sent.sent - 1,
  });
}
