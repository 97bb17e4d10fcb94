// Builds the C++ core without Node, under AddressSanitizer and UndefinedBehaviorSanitizer, and runs its unit tests.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { TestSummary } from './skip-reporter.ts';

const NATIVE = join(import.meta.dirname, '../native');
const BUILD = join(NATIVE, 'build-cmake-asan-ubsan');
const NAME = 'native: C++ unit tests under ASan and UBSan';

/** Runs them, output on stderr; counts test programs. */
export function runCppTests(): TestSummary {
  if (spawnSync('cmake', ['--version']).error !== undefined) {
    return {
      passed: 0,
      failed: 0,
      skipped: [{ name: NAME, reason: 'cmake is not installed (apt-get install cmake)' }],
    };
  }
  const jobs = String(availableParallelism());
  const built =
    run('cmake', [
      '-S',
      NATIVE,
      '-B',
      BUILD,
      '-DMCFLEET_SANITIZE=address,undefined',
      '-DCMAKE_BUILD_TYPE=RelWithDebInfo',
    ]) && run('cmake', ['--build', BUILD, '-j', jobs]);
  if (!built) return { passed: 0, failed: 1, skipped: [] };

  const junit = join(BUILD, 'junit.xml');
  rmSync(junit, { force: true });
  const ran = run('ctest', ['--test-dir', BUILD, '--output-on-failure', '--timeout', '120', '--output-junit', junit]);
  if (!existsSync(junit)) return { passed: 0, failed: 1, skipped: [] };
  const summary = readJunit(readFileSync(junit, 'utf8'));
  return ran || summary.failed > 0 ? summary : { ...summary, failed: 1 };
}

/** Reads the counts of the one <testsuite> that ctest writes. */
export function readJunit(xml: string): TestSummary {
  const suite = /<testsuite\s[^>]*>/.exec(xml)?.[0];
  if (suite === undefined) throw new Error('ctest wrote no <testsuite>');
  const count = (name: string): number => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(suite)?.[1] ?? 0);
  const notRun = count('skipped') + count('disabled');
  const skipped = [
    ...xml.matchAll(/<testcase name="([^"]+)"[^>]*status="(?:notrun|disabled)"[^>]*>\s*<skipped message="([^"]*)"/g),
  ].map(([, name = '', reason = '']) => ({ name: `native/${name}`, reason }));
  return { passed: count('tests') - count('failures') - notRun, failed: count('failures'), skipped };
}

function run(command: string, args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: ['ignore', 2, 2] }).status === 0;
}
