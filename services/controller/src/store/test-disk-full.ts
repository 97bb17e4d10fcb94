// For tests, as a process of its own in its own mount namespace: fills the disk of a store, makes space, and tells as one line of
// JSON what happened.
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FleetError } from '@mcfleet/common/error';
import { createLogger } from '@mcfleet/common/log';
import { Host } from '@mcfleet/proto/mcfleet/v1/host';
import { SqliteStore } from './sqlite-store.ts';

const [mountPoint = ''] = process.argv.slice(2);
const dataDir = join(mountPoint, 'data');
const ballast = join(mountPoint, 'ballast');
const log = createLogger({ component: 'test-disk-full', level: 'silent' });

writeFileSync(ballast, Buffer.alloc(512 * 1024));
const store = new SqliteStore({ dataDir, log });
const acknowledged: string[] = [];
// The store's timers do not keep a process alive; in a controller its listeners do.
const alive = setInterval(() => {}, 60_000);

function write(key: string): Promise<void> {
  return store.write((transaction) => {
    transaction.put('host', key, Host.fromPartial({ name: `hosts/${key}`, annotations: { note: 'x'.repeat(10_000) } }));
  });
}

async function fill(): Promise<string> {
  for (let i = 0; i < 10_000; i++) {
    const keys = [`a${i}`, `b${i}`, `c${i}`];
    const results = await Promise.allSettled(keys.map(write));
    results.forEach((result, j) => {
      if (result.status === 'fulfilled') acknowledged.push(keys[j] ?? '');
    });
    const refused = results.find((result) => result.status === 'rejected');
    if (refused !== undefined) return FleetError.from(refused.reason).reason;
  }
  return 'NEVER_FULL';
}

const reason = await fill();
const readable =
  acknowledged.every((key) => store.tables.host.has(key)) && store.tables.host.size === acknowledged.length;
const revisionFits = store.revision === BigInt(acknowledged.length);
rmSync(ballast);
await write('after');
acknowledged.push('after');
await store.close();
const reopened = new SqliteStore({ dataDir, log });
const kept =
  acknowledged.every((key) => reopened.tables.host.has(key)) && reopened.tables.host.size === acknowledged.length;
await reopened.close();
clearInterval(alive);
process.stdout.write(JSON.stringify({ reason, written: acknowledged.length, readable, revisionFits, kept }));
