import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { makeDirectory } from './directory.ts';

let base = '';

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'mcfleet-directory-'));
});

afterEach(() => {
  rmSync(base, { recursive: true });
});

it('makes what is missing above it, for the owner alone', () => {
  makeDirectory(join(base, 'a/b/c'));
  expect(statSync(join(base, 'a/b/c')).mode & 0o777).toBe(0o700);
});

it('is content with a directory that is there', () => {
  makeDirectory(base);
  expect(statSync(base).isDirectory()).toBe(true);
});

it('refuses a path that leads through a file, or ends in one', () => {
  const file = join(base, 'file');
  writeFileSync(file, '');
  expect(() => makeDirectory(file)).toThrow('EEXIST');
  expect(() => makeDirectory(join(file, 'below'))).toThrow('ENOTDIR');
});

it('returns where the file system makes no directories', () => {
  expect(() => makeDirectory('/proc/mcfleet/state')).toThrow('ENOENT');
});
