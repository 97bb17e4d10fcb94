import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';

const directory = mkdtempSync(join(tmpdir(), 'mcfleet-build-'));
const moved = join(directory, 'moved');
const launcher = join(moved, 'services/cli/bin/mcfleet');

beforeAll(() => {
  const built = join(directory, 'built');
  execFileSync(process.execPath, [join(import.meta.dirname, 'build-packages.ts'), built], { stdio: 'inherit' });
  renameSync(built, moved);
}, 120_000);
afterAll(() => rmSync(directory, { recursive: true }));

/** Runs the launcher with nothing of this repository, nor of the machine's own Node, in reach. */
async function run(...args: string[]): Promise<string> {
  const env = { PATH: '/usr/bin:/bin', NODE_COMPILE_CACHE: join(directory, 'cache') };
  const { stdout } = await promisify(execFile)(launcher, args, { env, cwd: '/' });
  return stdout;
}

test.each([
  [/^\d+\.\d+\.\d+$/m, ['--version']],
  [/^\d+\.\d+\.\d+$/m, ['dataplane', '--version']],
  [/usage: mcfleet agent/i, ['agent', '--help']],
])('what was built runs from anywhere and prints %s', async (expected, args) => {
  expect(await run(...args)).toMatch(expected);
});

test('it runs JavaScript only', () => {
  const typescript = execFileSync('find', [moved, '-name', '*.ts', '-not', '-path', '*/node_modules/*']).toString();
  expect(typescript).toBe('');
});
