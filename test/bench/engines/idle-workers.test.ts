import { expect, test } from 'vitest';
import { idleWorkers } from './idle-workers.ts';

const plan = (...options: string[]) => ({ options });
const workers = (...packets: bigint[]) => packets.map((count, index) => ({ index, packets: count }));

test('all workers that were asked for must have forwarded', () => {
  expect(idleWorkers(plan(), workers(1n))).toBeUndefined();
  expect(idleWorkers(plan('--workers', '2'), workers(1n, 5n))).toBeUndefined();
  expect(idleWorkers(plan('--workers', '2'), workers(0n, 5_000n))).toBe(
    '1 of 2 workers forwarded packets; 2 run and took 0 and 5,000',
  );
  expect(idleWorkers(plan('--workers', '2'), workers(5n))).toMatch(/^1 of 2 workers .*; 1 run/);
  expect(idleWorkers(plan(), workers(0n))).toMatch(/^0 of 1 workers/);
});
