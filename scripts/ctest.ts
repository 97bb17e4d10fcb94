// Runs ctest and reads what it counted. What is built and run tells on stderr.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { TestSummary } from './skip-reporter.ts';

export const NATIVE = join(import.meta.dirname, '../native');

/** Why nothing can be built, or undefined. */
export function missingCmake(): string | undefined {
  return spawnSync('cmake', ['--version']).error === undefined
    ? undefined
    : 'cmake is not installed (apt-get install cmake)';
}

export function notRun(name: string, reason: string): TestSummary {
  return { passed: 0, failed: 0, skipped: [{ name, reason }] };
}

export const failedToBuild: TestSummary = { passed: 0, failed: 1, skipped: [] };

/** Whether it ended with status 0. */
export function run(command: string, args: readonly string[]): boolean {
  return spawnSync(command, args, { cwd: NATIVE, stdio: ['ignore', 2, 2] }).status === 0;
}

/** `command`: ctest with arguments that say what to run; `build`: where it was built. Counts test programs. */
export function runCtest(build: string, command: readonly [string, ...string[]]): TestSummary {
  const junit = join(build, 'junit.xml');
  rmSync(junit, { force: true });
  const [program, ...args] = command;
  const ran = run(program, [...args, '--output-junit', junit]);
  if (!existsSync(junit)) return failedToBuild;
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
