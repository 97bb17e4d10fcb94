import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { LongestFirst } from './scripts/longest-first.ts';

/** What comes at once on a quiet machine may take its time on a busy one: these bounds only end what would never come. */
const PATIENCE_MS = 20_000;

// Tests start hundreds of Node programs: what each of them compiles, the next need not. The place is the launcher's.
process.env.NODE_COMPILE_CACHE ??= join(import.meta.dirname, '.cache/compile');

export default defineConfig({
  test: {
    pool: 'forks',
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          name: 'unit',
          include: [
            'services/*/src/**/*.test.ts',
            'native/test/**/*.test.ts',
            'scripts/**/*.test.ts',
            'test/lab/**/*.test.ts',
            'test/bench/**/*.test.ts',
            'deploy/demo/**/*.test.ts',
          ],
          // They wait for programs and packets more than they work, also on two cores; none needs the machine for itself.
          maxWorkers: 3,
          testTimeout: 60_000,
          hookTimeout: 60_000,
          expect: { poll: { timeout: PATIENCE_MS } },
        },
      },
      {
        test: {
          name: 'control',
          include: ['test/control/**/*.test.ts', 'test/conformance/**/*.test.ts'],
          // They count no packets, and wait more than they work: several at a time.
          maxWorkers: 3,
          sequence: { groupOrder: 1 },
          testTimeout: 120_000,
          hookTimeout: 120_000,
          expect: { poll: { timeout: PATIENCE_MS } },
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          sequence: { groupOrder: 2 },
          // Two cores: packets of one test are not to be lost to the load of another.
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 120_000,
          expect: { poll: { timeout: PATIENCE_MS } },
        },
      },
      {
        test: {
          name: 'experiments',
          include: ['test/experiments/**/*.test.ts'],
          sequence: { groupOrder: 3 },
          // They count every packet too.
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 60_000,
          expect: { poll: { timeout: PATIENCE_MS } },
        },
      },
    ],
  },
});
