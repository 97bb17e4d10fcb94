import { defineConfig } from 'vitest/config';

/** What comes at once on a quiet machine may take its time on a busy one: these bounds only end what would never come. */
const PATIENCE_MS = 20_000;

export default defineConfig({
  test: {
    pool: 'forks',
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
          testTimeout: 60_000,
          hookTimeout: 60_000,
          expect: { poll: { timeout: PATIENCE_MS } },
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts', 'test/conformance/**/*.test.ts'],
          // Two cores: packets of one test are not to be lost to the load of another.
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 120_000,
          expect: { poll: { timeout: PATIENCE_MS } },
        },
      },
    ],
  },
});
