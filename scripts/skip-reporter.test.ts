import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
// Below the repository, so that what is run finds vitest.
const directory = mkdtempSync(join(ROOT, 'node_modules/.mcfleet-reporter-'));
afterAll(() => rmSync(directory, { recursive: true }));

/** Runs vitest on test files of its own and gives what the reporter wrote. */
function report(files: Readonly<Record<string, string>>): unknown {
  const summary = join(directory, 'summary.json');
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  writeFileSync(join(directory, 'vitest.config.mjs'), 'export default { test: { exclude: [] } }');
  const reporter = `--reporter=${join(import.meta.dirname, 'skip-reporter.ts')}`;
  const argv = [
    join(ROOT, 'node_modules/vitest/vitest.mjs'),
    'run',
    `--root=${directory}`,
    reporter,
    ...Object.keys(files),
  ];
  spawnSync(process.execPath, argv, { env: { ...process.env, MCFLEET_TEST_SUMMARY: summary }, cwd: directory });
  return JSON.parse(readFileSync(summary, 'utf8'));
}

test('counts what passed and failed, and tells what was skipped and why', () => {
  const summary = report({
    'a.test.mjs': `
      import { describe, expect, test } from 'vitest';
      test('passes', () => {});
      test('fails', () => { expect(1).toBe(2); });
      describe('group', () => {
        test('needs root', (context) => context.skip('needs root'));
        test.skip('silent', () => {});
      });`,
    'b.test.mjs': `throw new Error('cannot be loaded');`,
    'c.test.mjs': `
      import { beforeAll, describe, test } from 'vitest';
      describe('broken set-up', () => { beforeAll(() => { throw new Error('no'); }); test('x', () => {}); });`,
  });
  expect(summary).toEqual({
    passed: 1,
    failed: 3,
    skipped: expect.arrayContaining([
      { name: expect.stringContaining('a.test.mjs > group > needs root'), reason: 'needs root' },
      { name: expect.stringContaining('a.test.mjs > group > silent') },
    ]),
  });
});

test('errors outside of tests are failures', () => {
  const summary = report({
    'd.test.mjs': `
      import { test } from 'vitest';
      test('passes', async () => {
        setTimeout(() => { throw new Error('nobody catches this'); }, 0);
        await new Promise((done) => setTimeout(done, 100));
      });`,
  });
  expect(summary).toMatchObject({ passed: 1, failed: 1 });
});
