import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { lockStateDirectory } from './state-lock.ts';

const directory = mkdtempSync(join(tmpdir(), 'mcfleet-lock-'));
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const HOLDER = `
  const { lockStateDirectory } = await import(${JSON.stringify(join(import.meta.dirname, 'state-lock.ts'))});
  globalThis.lock = lockStateDirectory(${JSON.stringify(directory)});
  process.stdout.write('locked');
  setInterval(() => {}, 1000);
`;

describe('lockStateDirectory', () => {
  it('lets one process in, names it to the next, and is free again after kill -9', async () => {
    const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '--eval', HOLDER];
    const holder = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(holder.stdout, 'data');
    expect(() => lockStateDirectory(directory)).toThrow(
      expect.objectContaining({
        reason: 'STATE_DIR_IN_USE',
        message: expect.stringContaining(`(process ${holder.pid})`),
      }),
    );
    expect(statSync(join(directory, 'agent.lock')).size).toBe(0);
    expect(readdirSync(directory).sort()).toEqual(['agent.lock', 'agent.pid']);
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    const lock = lockStateDirectory(directory);
    expect(lock.warning).toBe('');
    lock.release();
    lockStateDirectory(directory).release();
  });

  it('says what is wrong with a directory that cannot be one', () => {
    const file = `${directory}-file`;
    writeFileSync(file, '');
    try {
      expect(() => lockStateDirectory(join(file, 'below'))).toThrow(
        expect.objectContaining({ reason: 'STATE_DIR_UNUSABLE', message: expect.stringContaining('--state-dir') }),
      );
    } finally {
      rmSync(file);
    }
  });
});
