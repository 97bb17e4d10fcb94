// Builds and runs the C++ tests of threads under ThreadSanitizer: rules that change under traffic, limits. The preset "tsan" in
// native/CMakePresets.json says which.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { failedToBuild, missingCmake, NATIVE, notRun, run, runCtest } from './ctest.ts';
import type { TestSummary } from './skip-reporter.ts';

const NAME = 'native: C++ tests of threads under ThreadSanitizer';
const BUILD = join(NATIVE, 'build-cmake-tsan');
const PRESET = ['--preset', 'tsan'];

/** What stands before a command so that ThreadSanitizer runs in it, or why it cannot. */
export type Sanitizer = { readonly prefix: readonly string[] } | { readonly missing: string };

/**
 * Builds and runs a program of one line with `compiler`. Where addresses are more random than the sanitizer's runtime copes with
 * (vm.mmap_rnd_bits above 28 and GCC before 14), setarch(8) has them less so.
 */
export function findThreadSanitizer(compiler: string): Sanitizer {
  const directory = mkdtempSync(join(tmpdir(), 'mcfleet-tsan-'));
  try {
    const source = join(directory, 'probe.cc');
    const program = join(directory, 'probe');
    writeFileSync(source, 'int main() { return 0; }\n');
    const built = spawnSync(compiler, ['-fsanitize=thread', source, '-o', program], { encoding: 'utf8' });
    if (built.status !== 0) {
      return {
        missing: `${compiler} builds nothing with -fsanitize=thread: ${firstLine(built.error?.message ?? built.stderr)}`,
      };
    }
    for (const prefix of [[], ['setarch', '-R']]) {
      const [command = program, ...args] = [...prefix, program];
      if (spawnSync(command, args).status === 0) return { prefix };
    }
    return {
      missing: `ThreadSanitizer does not run here: ${firstLine(spawnSync(program, { encoding: 'utf8' }).stderr)}`,
    };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Whether it succeeded. */
export function buildThreadTests(): boolean {
  return run('cmake', PRESET) && run('cmake', ['--build', ...PRESET]);
}

export function runThreadTests(): TestSummary {
  const missing = missingCmake();
  if (missing !== undefined) return notRun(NAME, missing);
  // As CMake chooses it.
  const sanitizer = findThreadSanitizer(process.env.CXX ?? 'c++');
  if ('missing' in sanitizer) return notRun(NAME, sanitizer.missing);
  if (!buildThreadTests()) return failedToBuild;
  const [program = 'ctest', ...args] = [...sanitizer.prefix, 'ctest', ...PRESET];
  return runCtest(BUILD, [program, ...args]);
}

function firstLine(text: string): string {
  return text.split('\n').find((line) => line.trim() !== '') ?? 'it says nothing';
}
