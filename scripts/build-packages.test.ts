import { execFile, execFileSync } from 'node:child_process';
import { globSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
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

/** The programs that the launcher starts, the CLI under no name. */
const programs = globSync('services/*/src/main.ts', { cwd: join(import.meta.dirname, '..') })
  .map((path) => path.split('/')[1] ?? '')
  .map((program) => (program === 'cli' ? '' : program));

test.each(programs)('what was built runs from anywhere: mcfleet %s --help', async (program) => {
  const args = program === '' ? ['--help'] : [program, '--help'];
  expect(await run(...args)).toMatch(new RegExp(`usage: mcfleet ${program}`, 'i'));
});

test('it knows its version', async () => {
  expect(await run('--version')).toMatch(/^\d+\.\d+\.\d+\n$/);
});

test('it runs JavaScript only', () => {
  const typescript = execFileSync('find', [moved, '-name', '*.ts', '-not', '-path', '*/node_modules/*']).toString();
  expect(typescript).toBe('');
});
