import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLogger } from '@mcfleet/common/log';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { SqliteStore } from './sqlite-store.ts';

const log = createLogger({ component: 'test', level: 'silent' });
let dataDir: string;
let children: ChildProcess[];

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'mcfleet-store-'));
  children = [];
});

afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(dataDir, { recursive: true });
});

/** A process that writes without pause; the keys that it was told are durable come line by line. */
function startWriter(prefix: string): { child: ChildProcess; acknowledged: string[] } {
  const program = join(import.meta.dirname, 'test-writer.ts');
  const child = spawn(process.execPath, [program, dataDir, prefix], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  const acknowledged: string[] = [];
  let rest = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split('\n');
    rest = lines.pop() ?? '';
    acknowledged.push(...lines);
  });
  return { child, acknowledged };
}

async function waitFor(condition: () => boolean): Promise<void> {
  await expect.poll(condition, { interval: 10 }).toBe(true);
}

test('kill -9 at any moment loses no acknowledged write', async () => {
  const all: string[] = [];
  for (let round = 0; round < 8; round++) {
    const { child, acknowledged } = startWriter(`r${round}`);
    await waitFor(() => acknowledged.length > 20);
    await sleep(Math.random() * 150);
    child.kill('SIGKILL');
    await once(child, 'close');
    all.push(...acknowledged);
    const store = new SqliteStore({ dataDir, log });
    const missing = all.filter((line) => {
      const [key = '', revision = ''] = line.split(' ');
      return store.tables.host.get(key)?.revision !== BigInt(revision);
    });
    expect(missing).toEqual([]);
    expect(store.revision).toBe(BigInt(store.tables.host.size));
    await store.close();
  }
});

test('a second process is refused with the directory and the pid of the first, until that one dies', async () => {
  const { child, acknowledged } = startWriter('w');
  await waitFor(() => acknowledged.length > 0);
  const message = `another controller (pid ${child.pid}) uses the data directory ${dataDir}`;
  expect(() => new SqliteStore({ dataDir, log })).toThrow(
    expect.objectContaining({ reason: 'STORE_IN_USE', message: expect.stringContaining(message) }),
  );
  const before = acknowledged.length;
  await waitFor(() => acknowledged.length > before);
  child.kill('SIGKILL');
  await once(child, 'close');
  const store = new SqliteStore({ dataDir, log });
  await store.close();
});

test('a store that was cut short or overwritten is refused, and left as it is', async () => {
  const { child, acknowledged } = startWriter('w');
  await waitFor(() => acknowledged.length > 500);
  child.kill('SIGTERM');
  await once(child, 'close');
  const store = new SqliteStore({ dataDir, log });
  await store.close();
  const file = join(dataDir, 'store.db');
  const whole = readFileSync(file);
  const refused = (): void => {
    const damaged = readFileSync(file);
    expect(() => new SqliteStore({ dataDir, log })).toThrow(expect.objectContaining({ reason: 'STORE_CORRUPT' }));
    expect(readFileSync(file).equals(damaged)).toBe(true);
  };
  truncateSync(file, whole.length - 3 * 4096);
  refused();
  const overwritten = Buffer.from(whole);
  overwritten.fill(0xa5, 4096 * 3, 4096 * 6);
  writeFileSync(file, overwritten);
  refused();
});

const mayMount = spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0;

test.skipIf(!mayMount)(
  `a full disk refuses writes and loses nothing${mayMount ? '' : ' [skipped: needs to mount a tmpfs]'}`,
  () => {
    const program = join(import.meta.dirname, 'test-disk-full.ts');
    const script = 'mount -t tmpfs -o size=2m none "$1" && exec "$2" "$3" "$1"';
    const result = spawnSync('unshare', ['-m', 'sh', '-c', script, 'sh', dataDir, process.execPath, program], {
      encoding: 'utf8',
      timeout: 50_000,
    });
    expect(result.stderr).toBe('');
    const told = JSON.parse(result.stdout);
    expect(told).toEqual({
      reason: 'STORE_FULL',
      written: expect.any(Number),
      readable: true,
      revisionFits: true,
      kept: true,
    });
    expect(told.written).toBeGreaterThan(10);
  },
);
