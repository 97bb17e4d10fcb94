import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '@mcfleet/common/log';
import { ManualClock } from '@mcfleet/common/manual-clock';
import { Host } from '@mcfleet/proto/mcfleet/v1/host';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { SqliteStore, type SqliteStoreOptions } from './sqlite-store.ts';
import type { Change, Transaction } from './store.ts';

const log = createLogger({ component: 'test', level: 'silent' });
let dataDir: string;
let open: SqliteStore[];

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'mcfleet-store-'));
  open = [];
});

afterEach(async () => {
  for (const store of open) await store.close();
  rmSync(dataDir, { recursive: true });
});

function openStore(options: Partial<SqliteStoreOptions> = {}): SqliteStore {
  const store = new SqliteStore({ dataDir, log, ...options });
  open.push(store);
  return store;
}

function put(key: string, displayName = ''): (transaction: Transaction) => bigint {
  return (transaction) => {
    transaction.put(
      'host',
      key,
      Host.fromPartial({ name: `hosts/${key}`, displayName, revision: transaction.revision }),
    );
    return transaction.revision;
  };
}

test('keeps objects, revision, identity and secret over a restart', async () => {
  const first = openStore();
  expect(await first.write(put('a'))).toBe(1n);
  expect(await first.write(put('b', 'B'))).toBe(2n);
  await first.write((transaction) => transaction.delete('host', 'a'));
  const { clusterUid, tokenKey } = first;
  await first.close();

  const second = openStore();
  expect(second.revision).toBe(3n);
  expect(second.tables.host.sortedKeys()).toEqual(['b']);
  expect(second.tables.host.get('b')?.displayName).toBe('B');
  expect(second.clusterUid).toBe(clusterUid);
  expect(Buffer.from(second.tokenKey)).toEqual(Buffer.from(tokenKey));
  expect(second.term).toBe(1n);
});

test('a write that throws changes nothing and takes no revision; those beside it are kept', async () => {
  const store = openStore();
  const results = await Promise.allSettled([
    store.write(put('a')),
    store.write((transaction) => {
      put('b')(transaction);
      throw new Error('no');
    }),
    store.write(put('c')),
  ]);
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(store.tables.host.sortedKeys()).toEqual(['a', 'c']);
  expect(store.revision).toBe(2n);
});

test('a dry run answers and leaves nothing behind', async () => {
  const store = openStore();
  expect(store.dryRun(put('a'))).toBe(1n);
  expect(store.tables.host.size).toBe(0);
  expect(store.revision).toBe(0n);
});

test('tells committed changes in order, with what was before', async () => {
  const store = openStore();
  const seen: Change[] = [];
  store.onCommit((changes) => seen.push(...changes));
  await Promise.all([store.write(put('a', '1')), store.write(put('a', '2'))]);
  await store.write((transaction) => transaction.delete('host', 'a'));
  const brief = (change: Change) => [change.revision, change.before?.displayName, change.after?.displayName];
  expect(seen.map(brief)).toEqual([
    [1n, undefined, '1'],
    [2n, '1', '2'],
    [3n, '2', undefined],
  ]);
  expect(store.changesSince('host', 1n)?.map(brief)).toEqual(seen.slice(1).map(brief));
  expect(store.changesSince('relay', 0n)).toEqual([]);
});

test('writes that come together share a commit', async () => {
  const store = openStore();
  let commits = 0;
  store.onCommit(() => {
    commits += 1;
  });
  await Promise.all(Array.from({ length: 200 }, (_, i) => store.write(put(`h${i}`))));
  expect(store.revision).toBe(200n);
  expect(commits).toBeLessThanOrEqual(4);
});

test('a request id is seen by the write behind it, and after a restart, for 24 hours', async () => {
  const clock = new ManualClock();
  const store = openStore({ clock });
  const request = { bodyHash: Buffer.from('h'), response: Buffer.from('r') };
  const remember = store.write((transaction) => transaction.rememberRequest('id', request));
  const find = store.write((transaction) => transaction.findRequest('id'));
  clock.advance(2);
  await remember;
  expect(await find).toEqual(request);
  await store.close();

  const again = openStore({ clock });
  const found = () => again.dryRun((transaction) => transaction.findRequest('id')?.response);
  expect(Buffer.from(found() ?? [])).toEqual(request.response);
  clock.advance(24 * 3600 * 1000);
  expect(found()).toBeUndefined();
});

test('the change log is bounded, and says so where it was cut', async () => {
  const store = openStore({ logLimits: { changes: 100, bytes: 1e9 } });
  for (let i = 0; i < 250; i++) await store.write(put('a', String(i)));
  expect(store.changesSince('host', 1n)).toBeUndefined();
  const recent = store.changesSince('host', store.revision - 50n);
  expect(recent?.map(({ after }) => after?.displayName)).toEqual(Array.from({ length: 50 }, (_, i) => String(200 + i)));
  await store.close();
  const again = openStore({ logLimits: { changes: 100, bytes: 1e9 } });
  expect(again.changesSince('host', 1n)).toBeUndefined();
  expect(again.changesSince('host', 200n)).toHaveLength(50);
});

test('the change log is bounded in bytes', async () => {
  const store = openStore({ logLimits: { changes: 1000, bytes: 50_000 } });
  for (let i = 0; i < 20; i++) await store.write(put('a', 'x'.repeat(4000)));
  expect(store.changesSince('host', 10n)).toBeUndefined();
  expect(store.changesSince('host', 18n)).toHaveLength(2);
});

test('what is in memory is what is on disk, whatever was written', async () => {
  const operation = fc.record({
    key: fc.constantFrom('a', 'b', 'c'),
    value: fc.option(fc.string({ maxLength: 5 })),
    fails: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(operation, { maxLength: 4 }), { maxLength: 10 }), async (writes) => {
      const dir = mkdtempSync(join(tmpdir(), 'mcfleet-store-'));
      const store = new SqliteStore({ dataDir: dir, log });
      await Promise.allSettled(
        writes.map((operations) =>
          store.write((transaction) => {
            for (const { key, value, fails } of operations) {
              if (value === null) transaction.delete('host', key);
              else put(key, value)(transaction);
              if (fails) throw new Error('no');
            }
          }),
        ),
      );
      const from = (source: SqliteStore): string[] => [
        String(source.revision),
        ...source.tables.host
          .sortedKeys()
          .map((key) => JSON.stringify(Host.toJSON(source.tables.host.get(key) as Host))),
      ];
      const inMemory = from(store);
      await store.close();
      const reopened = new SqliteStore({ dataDir: dir, log });
      const onDisk = from(reopened);
      await reopened.close();
      rmSync(dir, { recursive: true });
      expect(onDisk).toEqual(inMemory);
    }),
    { numRuns: 40 },
  );
});

test.each([
  ['garbage', Buffer.from('this is not a database, it is a text of some length '.repeat(50))],
  ['an empty header', Buffer.alloc(8192)],
])('refuses %s as store and leaves it as it is', (_, bytes) => {
  const file = join(dataDir, 'store.db');
  writeFileSync(file, bytes);
  expect(() => openStore()).toThrow(
    expect.objectContaining({ reason: 'STORE_CORRUPT', message: expect.stringContaining(file) }),
  );
  expect(readFileSync(file)).toEqual(bytes);
});
