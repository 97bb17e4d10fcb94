// For tests, as a process of its own: writes hosts without pause, several at a time, and says each one that is acknowledged.
import { createLogger } from '@mcfleet/common/log';
import { Host } from '@mcfleet/proto/mcfleet/v1/host';
import { SqliteStore } from './sqlite-store.ts';

const [dataDir = '', prefix = ''] = process.argv.slice(2);
const store = new SqliteStore({ dataDir, log: createLogger({ component: 'test-writer' }) });

// The store's timers do not keep a process alive; in a controller its listeners do.
setInterval(() => {}, 60_000);

async function write(lane: number): Promise<void> {
  for (let i = 0; i < 100_000; i++) {
    const key = `${prefix}-${lane}-${i}`;
    const host = await store.write((transaction) => {
      const value = Host.fromPartial({ name: `hosts/${key}`, revision: transaction.revision });
      transaction.put('host', key, value);
      return value;
    });
    process.stdout.write(`${key} ${host.revision}\n`);
  }
}

await Promise.all([0, 1, 2, 3].map(write));
