// Builds the C++ core without Node, under AddressSanitizer and UndefinedBehaviorSanitizer, and runs its unit tests.
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { failedToBuild, missingCmake, NATIVE, notRun, run, runCtest } from './ctest.ts';
import type { TestSummary } from './skip-reporter.ts';

const BUILD = join(NATIVE, 'build-cmake-asan-ubsan');
const OPTIONS = ['-DMCFLEET_SANITIZE=address,undefined', '-DCMAKE_BUILD_TYPE=RelWithDebInfo'];

/** Whether it succeeded. */
export function buildCppTests(): boolean {
  return (
    run('cmake', ['-S', NATIVE, '-B', BUILD, ...OPTIONS]) &&
    run('cmake', ['--build', BUILD, '-j', String(availableParallelism())])
  );
}

export function runCppTests(): TestSummary {
  const missing = missingCmake();
  if (missing !== undefined) return notRun('native: C++ unit tests under ASan and UBSan', missing);
  if (!buildCppTests()) return failedToBuild;
  // They wait more than they work, and each that needs a network has one of its own.
  const options = ['--test-dir', BUILD, '--output-on-failure', '--timeout', '120', '-j', '2'];
  return runCtest(BUILD, ['ctest', ...options]);
}
