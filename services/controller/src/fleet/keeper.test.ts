import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '@mcfleet/common/log';
import { ManualClock } from '@mcfleet/common/manual-clock';
import { Host } from '@mcfleet/proto/mcfleet/v1/host';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ObservationWrite } from '../store/observations.ts';
import { SqliteStore } from '../store/sqlite-store.ts';
import { Fleet } from './fleet.ts';
import { Keeper } from './keeper.ts';

const log = createLogger({ component: 'test', level: 'silent' });
const HOSTS = 1000;
let dataDir: string;
let store: SqliteStore;
let clock: ManualClock;
let fleet: Fleet;
let keeper: Keeper;
let saved: (readonly ObservationWrite[])[];
let isDiskFull: boolean;

beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'mcfleet-keeper-'));
  store = new SqliteStore({ dataDir, log });
  await store.write((transaction) => {
    for (let i = 0; i < HOSTS; i++) {
      transaction.put('host', `h${i}`, Host.fromPartial({ name: `hosts/h${i}`, uid: `${i}` }));
    }
  });
  clock = new ManualClock();
  fleet = new Fleet(store, clock);
  saved = [];
  isDiskFull = false;
  const save = (writes: readonly ObservationWrite[]): void => {
    if (isDiskFull) throw new Error('disk full');
    saved.push(writes);
    store.observations.save(writes);
  };
  keeper = new Keeper({ fleet, save, clock, log }, []);
});

afterEach(async () => {
  await store.close();
  rmSync(dataDir, { recursive: true });
});

function connectAll(): void {
  for (let i = 0; i < HOSTS; i++) {
    fleet.seeHost(`h${i}`);
    fleet.setHostFacts(`h${i}`, { connected: true, sessionId: 's', kernel: '6.18' });
  }
}

const kept = (key: string): Host | undefined => {
  const row = store.observations.all().find((each) => each.kind === 'host' && each.key === key);
  return row && Host.decode(row.value);
};

test('writes what changed, a part at a time, and nothing for heartbeats but once a minute when hosts were seen', () => {
  connectAll();
  clock.advance(5000);
  expect(saved.map(({ length }) => length)).toEqual([500, 500]);
  for (let beat = 0; beat < 10; beat++) {
    for (let i = 0; i < HOSTS; i++) {
      fleet.seeHost(`h${i}`);
      fleet.setHostFacts(`h${i}`, { workers: [] });
    }
    clock.advance(5000);
  }
  expect(saved).toHaveLength(2);
  const seen = fleet.lastSeen('h7');
  clock.advance(10_000);
  expect(saved.flat()).toHaveLength(2 * HOSTS);
  expect(kept('h7')?.status).toMatchObject({ kernel: '6.18', connected: true, lastSeenTime: seen });
});

test('keeps what is known when the controller ends, and nothing is lost while nothing could be written', () => {
  isDiskFull = true;
  connectAll();
  clock.advance(20_000);
  expect(saved).toEqual([]);
  isDiskFull = false;
  clock.advance(20_000);
  expect(kept('h999')?.status?.connected).toBe(true);
  clock.advance(5000);
  fleet.seeHost('h0');
  fleet.setHostFacts('h1', { connected: false, disconnectReason: 'gone' });
  keeper.close();
  expect(kept('h0')?.status?.lastSeenTime).toEqual(fleet.lastSeen('h0'));
  expect(kept('h1')?.status?.conditions[0]).toMatchObject({ type: 'Connected', message: 'gone' });
  const writes = saved.length;
  fleet.setHostFacts('h1', { connected: true });
  clock.advance(120_000);
  expect(saved).toHaveLength(writes);
});
