// npm test: every test of the repository; npm test -- PATTERN: the vitest tests whose file matches. The last line is the count.
import { spawn, spawnSync } from 'node:child_process';
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

/**
 * Builds the C++ tests beside tests that count no packets and wait more than they work, and lets those go first. What it says is left
 * out: the C++ tests build what it did not, and tell why they cannot.
 */
function buildCppMeanwhile(): Promise<void> {
  const argv = ['-n', '10', process.execPath, join(ROOT, 'scripts/build-cpp-tests.ts')];
  const build = spawn('nice', argv, { cwd: ROOT, stdio: 'ignore' });
  return new Promise((resolve, reject) => build.on('error', reject).on('exit', () => resolve()));
}

async function main(patterns: readonly string[]): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'mcfleet-test-'));
  const runs: [string, () => TestSummary][] = PROJECTS.map((name) => [
    name,
    () => runVitest(name, patterns, directory),
  ]);
  const all = patterns.length === 0;
  if (all) runs.splice(2, 0, ['C++', runCppTests], ['C++ thread', runThreadTests]);

  const summaries: TestSummary[] = [];
  for (const [name, run] of runs) {
    console.log(`\n=== ${name} tests`);
    const build = all && name === 'control' ? buildCppMeanwhile() : undefined;
    summaries.push(run());
    await build;
  }
  rmSync(directory, { recursive: true });

  const skipped = summaries.flatMap((summary) => summary.skipped);
  const silent = all ? skipped.filter(({ reason }) => reason === undefined) : [];
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

process.exitCode = await main(process.argv.slice(2));
