import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { findThreadSanitizer } from './thread-tests.ts';

/** A program in place of a compiler, which makes `built` of whatever it is given. */
function compiler(built: string, use: (path: string) => void): void {
  const directory = mkdtempSync(join(tmpdir(), 'mcfleet-compiler-'));
  const path = join(directory, 'c++');
  writeFileSync(path, `#!/bin/sh\ncat >"$4" <<'END'\n#!/bin/sh\n${built}\nEND\nchmod 755 "$4"\n`, { mode: 0o755 });
  try {
    use(path);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test('a compiler that has no ThreadSanitizer is a reason not to run', () => {
  expect(findThreadSanitizer('/bin/false')).toEqual({
    missing: expect.stringContaining('/bin/false builds nothing with -fsanitize=thread'),
  });
  expect(findThreadSanitizer('/nowhere/c++')).toEqual({ missing: expect.stringContaining('ENOENT') });
});

test('so is a runtime that does not start, and its own words are the reason', () => {
  compiler('echo "FATAL: ThreadSanitizer: unexpected memory mapping" >&2; exit 66', (path) => {
    expect(findThreadSanitizer(path)).toEqual({ missing: expect.stringContaining('unexpected memory mapping') });
  });
});

test('one that starts runs without anything before it', () => {
  compiler('exit 0', (path) => expect(findThreadSanitizer(path)).toEqual({ prefix: [] }));
});
