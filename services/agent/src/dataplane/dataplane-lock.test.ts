import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { lockDataplane } from './dataplane-lock.ts';

const directory = mkdtempSync(join(tmpdir(), 'mcfleet-dataplane-lock-'));
afterEach(() => rmSync(directory, { recursive: true, force: true }));

test('makes the directory of a socket that is not there yet, and locks nothing but this socket', () => {
  const one = lockDataplane(join(directory, 'run', 'a.sock'));
  const other = lockDataplane(join(directory, 'run', 'b.sock'));
  expect([one.warning, other.warning]).toEqual(['', '']);
  one.release();
  lockDataplane(join(directory, 'run', 'a.sock')).release();
  other.release();
});

test('says what is wrong with a place that can hold no socket', () => {
  expect(() => lockDataplane('/proc/nothing/a.sock')).toThrow(
    expect.objectContaining({
      reason: 'DATAPLANE_SOCKET_UNUSABLE',
      message: expect.stringMatching(/^cannot use the data plane on \/proc\/nothing\/a\.sock: .*--dataplane-socket$/),
    }),
  );
});
