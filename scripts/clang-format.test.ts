import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

function run(mode: string, env: Readonly<Record<string, string>>) {
  const script = join(import.meta.dirname, 'clang-format.ts');
  return spawnSync(process.execPath, [script, mode], { env, encoding: 'utf8' });
}

test('without clang-format it says what is not checked and what to install', () => {
  const { status, stderr } = run('--check', { PATH: '/nonexistent' });
  expect(status).toBe(0);
  expect(stderr).toMatch(
    /^SKIPPED: format of C\+\+ sources: clang-format 14 is needed and is not installed; apt-get install/,
  );
});

test('in CI that is a failure', () => {
  const { status, stderr } = run('--check', { PATH: '/nonexistent', CI: 'true' });
  expect(status).toBe(1);
  expect(stderr).toMatch(/^failed: /);
});

test('an unknown mode is a usage error', () => {
  expect(run('--fix', {}).status).toBe(2);
});
