import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readRuns } from './fuzz.ts';

const SCRIPT = join(import.meta.dirname, 'fuzz.ts');

function fuzz(args: readonly string[], env: Record<string, string>): { status: number | null; stderr: string } {
  return spawnSync(process.execPath, [SCRIPT, ...args], { env: { PATH: process.env.PATH, ...env }, encoding: 'utf8' });
}

test('what libFuzzer ran is read from its last line', () => {
  expect(readRuns('#2\tINITED cov: 3\n#99\tDONE   cov: 4\nDone 1143898 runs in 61 second(s)\n')).toEqual({
    runs: 1_143_898,
    seconds: 61,
  });
  expect(readRuns('==1==ERROR: AddressSanitizer: heap-buffer-overflow\n')).toBeUndefined();
});

test('without clang it says what is not run and what to install, and fails where it must run', () => {
  const here = fuzz([], { CXX: '/nowhere/clang++' });
  expect(here.stderr).toMatch(/SKIPPED: fuzzing of .*packet_fuzz.*not installed/);
  expect(here.status).toBe(0);
  expect(fuzz([], { CXX: '/nowhere/clang++', CI: 'true' }).status).toBe(1);
});

test('a target that is not there and a time that is none are errors of usage', () => {
  expect(fuzz(['nothing_fuzz'], {})).toMatchObject({ status: 2, stderr: expect.stringContaining('nothing_fuzz') });
  expect(fuzz(['--seconds', 'x'], {})).toMatchObject({ status: 2, stderr: expect.stringContaining('usage') });
});
