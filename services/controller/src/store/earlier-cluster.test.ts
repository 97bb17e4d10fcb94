import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '@mcfleet/common/log';
import { Host } from '@mcfleet/proto/mcfleet/v1/host';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { SqliteStore } from './sqlite-store.ts';

const log = createLogger({ component: 'test', level: 'silent' });
let scratch: string;
let dataDir: string;

/** A directory as a controller leaves it that was killed: the store, its WAL, and what tells of the cluster. */
beforeEach(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'mcfleet-store-'));
  const running = join(scratch, 'running');
  const store = new SqliteStore({ dataDir: running, log });
  await store.write((transaction) => transaction.put('host', 'a', Host.fromPartial({ name: 'hosts/a' })));
  dataDir = join(scratch, 'killed');
  cpSync(running, dataDir, { recursive: true });
  await store.close();
});

afterEach(() => rmSync(scratch, { recursive: true }));

const file = (name: string): string => join(dataDir, name);
const content = (): readonly (readonly [string, Buffer])[] =>
  readdirSync(dataDir).map((name) => [name, readFileSync(file(name))]);

const harm = {
  'an empty store': () => truncateSync(file('store.db')),
  'an empty store and an empty WAL': () => {
    truncateSync(file('store.db'));
    truncateSync(file('store.db-wal'));
  },
  'a store that vanished, its WAL left': () => rmSync(file('store.db')),
  'a store that vanished with its WAL': () => {
    rmSync(file('store.db'));
    rmSync(file('store.db-wal'));
  },
  'an empty store whose cluster is only shown by the WAL': () => {
    truncateSync(file('store.db'));
    rmSync(file('cluster.json'));
  },
  'an empty store beside the file of a controller before this check': () => {
    truncateSync(file('store.db'));
    rmSync(file('store.db-wal'));
    rmSync(file('cluster.json'));
    writeFileSync(file('controller.json'), '{}');
  },
  'a store that was never checkpointed and lost its WAL': () => rmSync(file('store.db-wal')),
};

test.each(Object.entries(harm))('%s is not taken for a new one, and nothing is touched', (_, spoil) => {
  spoil();
  const before = content();
  expect(() => new SqliteStore({ dataDir, log })).toThrow(
    expect.objectContaining({
      reason: 'STORE_LOST',
      message: expect.stringMatching(
        new RegExp(
          `^the store ${file('store.db')} (is|holds) .* restore the store from a backup, or move all of ${dataDir} `,
        ),
      ),
    }),
  );
  // SQLite lays empty files beside a store that it reads.
  expect(content()).toEqual(expect.arrayContaining([...before]));
});

test.each([1, 16, 28, 60, 99, 100, 511])('a store of %i bytes is refused, and left as it is', (bytes) => {
  truncateSync(file('store.db'), bytes);
  const before = content();
  expect(() => new SqliteStore({ dataDir, log })).toThrow(
    expect.objectContaining({
      reason: 'STORE_CORRUPT',
      message: expect.stringContaining(`it ends within its header, after ${bytes} bytes`),
    }),
  );
  // SQLite lays empty files beside a store that it reads.
  expect(content()).toEqual(expect.arrayContaining([...before]));
});

test('a store that is a directory, and a data directory that cannot be one, are told with what to do', () => {
  rmSync(file('store.db'));
  mkdirSync(file('store.db'));
  expect(() => new SqliteStore({ dataDir, log })).toThrow(
    expect.objectContaining({ reason: 'STORE_CORRUPT', message: expect.stringContaining('(it is not a file)') }),
  );
  expect(() => new SqliteStore({ dataDir: '/dev/null/x', log })).toThrow(
    expect.objectContaining({
      reason: 'DATA_DIR_UNUSABLE',
      message: expect.stringMatching(/; make it a directory that this user may write, or give another --data-dir$/),
    }),
  );
});

test('a store that is whole is opened, and a directory from before is marked', async () => {
  rmSync(file('cluster.json'));
  const store = new SqliteStore({ dataDir, log });
  expect(store.tables.host.get('a')?.name).toBe('hosts/a');
  expect(JSON.parse(readFileSync(file('cluster.json'), 'utf8'))).toEqual({ cluster: store.clusterUid });
  await store.close();
});

test('a creation that was cut short is done again', async () => {
  const fresh = join(scratch, 'fresh');
  cpSync(dataDir, fresh, { recursive: true });
  for (const name of readdirSync(fresh)) rmSync(join(fresh, name));
  writeFileSync(join(fresh, 'store.db'), '');
  const store = new SqliteStore({ dataDir: fresh, log });
  expect(store.revision).toBe(0n);
  await store.close();
});
