// A vitest reporter that writes to the file named by MCFLEET_TEST_SUMMARY what run-tests.ts needs: counts, and why what was skipped.
import { writeFileSync } from 'node:fs';
import type { Reporter, SerializedError, TestModule } from 'vitest/node';

/** One test that did not run. */
export interface SkippedTest {
  readonly name: string;
  /** Absent if the test did not give any. */
  readonly reason?: string;
}

export interface TestSummary {
  readonly passed: number;
  /** Tests, files that could not be loaded, and errors outside of tests. */
  readonly failed: number;
  readonly skipped: readonly SkippedTest[];
}

export class SkipReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly SerializedError[]): void {
    let passed = 0;
    let failed = errors.length;
    const skipped: SkippedTest[] = [];
    for (const module of modules) {
      failed += module.errors().length;
      for (const suite of module.children.allSuites()) failed += suite.errors().length;
      for (const test of module.children.allTests()) {
        const result = test.result();
        if (result.state === 'passed') passed += 1;
        else if (result.state === 'failed') failed += 1;
        else {
          const name = `${module.relativeModuleId} > ${test.fullName}`;
          skipped.push(result.state === 'skipped' && result.note ? { name, reason: result.note } : { name });
        }
      }
    }
    const path = process.env.MCFLEET_TEST_SUMMARY;
    if (path === undefined) throw new Error('MCFLEET_TEST_SUMMARY names no file');
    writeFileSync(path, JSON.stringify({ passed, failed, skipped } satisfies TestSummary));
  }
}

// vitest loads reporters by their default export.
// biome-ignore lint/style/noDefaultExport: see above
export default SkipReporter;
