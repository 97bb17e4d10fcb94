// npm test: every test of the repository; npm test -- PATTERN: the vitest tests whose file matches. The last line is the count.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCppTests } from './cpp-tests.ts';
import type { TestSummary } from './skip-reporter.ts';
import { runThreadTests } from './thread-tests.ts';

const ROOT = join(import.meta.dirname, '..');
/** In this order: what is quick and tells most comes first. */
const PROJECTS = ['unit', 'control', 'e2e', 'experiments'] as const;

function runVitest(project: string, patterns: readonly string[], directory: string): TestSummary {
  const file = join(directory, `${project}.json`);
  const { status } = spawnSync(
    process.execPath,
    [
      // Without root, tests that need network namespaces run in a user namespace.
      join(ROOT, 'test/lab/enter.ts'),
      process.execPath,
      join(ROOT, 'node_modules/vitest/vitest.mjs'),
      'run',
      `--project=${project}`,
      '--passWithNoTests',
      '--reporter=default',
      `--reporter=${join(ROOT, 'scripts/skip-reporter.ts')}`,
      ...patterns,
    ],
    { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, MCFLEET_TEST_SUMMARY: file } },
  );
  if (!existsSync(file)) {
    // Without a matching file vitest calls no reporter.
    return { passed: 0, failed: status === 0 ? 0 : 1, skipped: [] };
  }
  const summary = JSON.parse(readFileSync(file, 'utf8')) as TestSummary;
  return status === 0 || summary.failed > 0 ? summary : { ...summary, failed: 1 };
}

function main(patterns: readonly string[]): number {
  const directory = mkdtempSync(join(tmpdir(), 'mcfleet-test-'));
  const runs: [string, () => TestSummary][] = PROJECTS.map((name) => [
    name,
    () => runVitest(name, patterns, directory),
  ]);
  if (patterns.length === 0) runs.splice(1, 0, ['C++', runCppTests], ['C++ thread', runThreadTests]);

  const summaries = runs.map(([name, run]) => {
    console.log(`\n=== ${name} tests`);
    return run();
  });
  rmSync(directory, { recursive: true });

  const skipped = summaries.flatMap((summary) => summary.skipped);
  const silent = patterns.length === 0 ? skipped.filter(({ reason }) => reason === undefined) : [];
  console.log(skipped.length === 0 ? '\nNothing was skipped.' : '\nSkipped:');
  for (const { name, reason = 'NO REASON GIVEN' } of skipped) console.log(`  ${name}: ${reason}`);
  if (silent.length > 0) console.log(`${silent.length} tests were skipped without a reason, which counts as failed.`);

  const total = (key: 'passed' | 'failed'): number => summaries.reduce((sum, summary) => sum + summary[key], 0);
  const failed = total('failed') + silent.length;
  const passed = total('passed');
  if (passed + failed === 0) console.log('No test ran.');
  console.log(`${passed} passed, ${failed} failed, ${skipped.length - silent.length} skipped`);
  return failed === 0 && passed > 0 ? 0 : 1;
}

process.exitCode = main(process.argv.slice(2));
