/** What a controller that was restarted tells of hosts that are not connected. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { createLogger } from '@mcfleet/common/log';
import { type Condition, ConditionStatus } from '@mcfleet/proto/mcfleet/v1/common';
import type { Host } from '@mcfleet/proto/mcfleet/v1/host';
import { InstanceState, type Relay, type RelayInstance } from '@mcfleet/proto/mcfleet/v1/relay';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { SqliteStore } from './store/sqlite-store.ts';
import { SessionHarness } from './testing/session-harness.ts';
import type { TestAgent } from './testing/test-agent.ts';
import { defined, eventually, relay } from './testing/test-controller.ts';

const log = createLogger({ component: 'test', level: 'silent' });
let harness: SessionHarness;

beforeEach(async () => {
  harness = await new SessionHarness().start();
});

afterEach(() => harness.dispose());

/** An agent of edge-1 that forwards relay a, as the controller knows. */
async function forwards(): Promise<TestAgent> {
  const inventory = { interfaces: [{ index: 2, name: 'eth0', operState: 'up' }] };
  const told = { agentVersion: '1.2.3', kernel: '6.18.0', bootId: 'boot-1', capabilities: ['tx.gso'], inventory };
  const agent = harness.connect({ hello: told as never });
  await agent.welcomed;
  await harness.create(relay('a'));
  await eventually(harness.instance, ({ state }) => state === InstanceState.READY);
  return agent;
}

async function leave(agent: TestAgent): Promise<void> {
  agent.goodbye();
  await agent.ended;
  await eventually(
    () => harness.host(),
    ({ status }) => status?.connected === false,
  );
}

async function restart(): Promise<void> {
  await harness.controller.stop();
  await harness.controller.start();
}

function conditionOf(conditions: readonly Condition[] | undefined, type: string): Condition {
  return defined(conditions?.find((each) => each.type === type));
}

async function shown(): Promise<{ host: Host; relay: Relay; instance: RelayInstance }> {
  return { host: await harness.host(), relay: await harness.get('relays/a'), instance: await harness.instance() };
}

test('a host that left before the restart is shown as before it, with the times of its conditions', async () => {
  await leave(await forwards());
  const before = await shown();
  expect(before.host.status).toMatchObject({
    agentVersion: '1.2.3',
    kernel: '6.18.0',
    bootId: 'boot-1',
    capabilities: ['tx.gso'],
    interfaces: [{ name: 'eth0' }],
    lastSeenTime: expect.any(Date),
  });
  expect(before.instance).toMatchObject({ appliedGeneration: 1n, desiredGeneration: 1n });
  const { counters, countersTime, ...instance } = before.instance;
  for (let round = 0; round < 2; round++) {
    await restart();
    const after = await shown();
    expect(after.host).toEqual(before.host);
    expect(after.relay).toEqual(before.relay);
    expect(after.instance).toMatchObject(instance);
  }
});

test('a host whose session ended with the controller is told as one, and keeps what only it can change', async () => {
  const agent = await forwards();
  const before = await shown();
  const stopTime = Date.now();
  await restart();
  const after = await shown();
  const connected = conditionOf(after.host.status?.conditions, 'Connected');
  expect(connected).toMatchObject({ status: ConditionStatus.FALSE, reason: 'HostNotConnected' });
  expect(connected.message).toBe('its session ended with the controller, and the agent has not come back since');
  expect(defined(connected.lastTransitionTime).getTime()).toBeGreaterThanOrEqual(stopTime);
  expect(defined(after.host.status?.lastSeenTime).getTime()).toBeGreaterThanOrEqual(
    defined(before.host.status?.lastSeenTime).getTime(),
  );
  expect(after.instance.appliedGeneration).toBe(1n);
  for (const [now, then] of [
    [after.relay.status, before.relay.status],
    [after.instance, before.instance],
  ] as const) {
    expect(conditionOf(now?.conditions, 'Programmed')).toEqual(
      expect.objectContaining({
        status: ConditionStatus.TRUE,
        lastTransitionTime: conditionOf(then?.conditions, 'Programmed').lastTransitionTime,
      }),
    );
  }
  expect(conditionOf(after.relay.status?.conditions, 'Accepted')).toEqual(
    conditionOf(before.relay.status?.conditions, 'Accepted'),
  );
  await agent.ended;
});

test('what was told of a host or a relay ends with it, also for one that is made again under its name', async () => {
  await leave(await forwards());
  await harness.remove('relays/a');
  await harness.create(relay('a'));
  await restart();
  expect(await harness.instance()).toMatchObject({ appliedGeneration: 0n, state: InstanceState.UNKNOWN });
  await harness.remove('relays/a');
  await harness.removeHost('edge-1');
  await harness.label('edge-1', {});
  await restart();
  const { status } = await harness.host();
  expect(status).toMatchObject({ agentVersion: '', lastSeenTime: undefined, interfaces: [] });
  expect(conditionOf(status?.conditions, 'Connected').message).toBe('no agent of this host is known to have connected');
  await harness.controller.stop();
  const store = new SqliteStore({ dataDir: harness.controller.dataDir, log });
  expect(store.observations.all().map(({ kind, key }) => `${kind} ${key}`)).toEqual(['host edge-1']);
  await store.close();
});

test('a store that was restored from a copy does not say what hosts carry out: that may have changed since', async () => {
  await leave(await forwards());
  await harness.controller.stop();
  await harness.controller.start({ isRestored: true });
  expect(await harness.instance()).toMatchObject({ appliedGeneration: 0n, state: InstanceState.UNKNOWN });
  expect((await harness.host()).status?.kernel).toBe('6.18.0');
});

test('what cannot be read is forgotten; the rest is told', async () => {
  await leave(await forwards());
  await harness.controller.stop();
  const store = new SqliteStore({ dataDir: harness.controller.dataDir, log });
  store.observations.save([{ kind: 'instance', key: 'edge-1/a', value: Buffer.from([0xff]) }]);
  await store.close();
  await harness.controller.start();
  expect((await harness.instance()).appliedGeneration).toBe(0n);
  expect((await harness.host()).status?.kernel).toBe('6.18.0');
});

test('a store of a controller that kept nothing of its hosts is taken over', async () => {
  await leave(await forwards());
  await harness.controller.stop();
  const file = join(harness.controller.dataDir, 'store.db');
  const old = new DatabaseSync(file);
  old.exec('DROP TABLE observations; PRAGMA user_version = 1');
  old.close();
  await harness.controller.start();
  const { status } = await harness.host();
  expect(status?.relays).toBe(1);
  // A host that registered with that controller is not said to have never been there.
  expect(conditionOf(status?.conditions, 'Connected').message).toBe('no agent of this host is known to have connected');
  await harness.controller.stop();
  const now = new DatabaseSync(file);
  expect(now.prepare('PRAGMA user_version').get()).toEqual({ user_version: 2 });
  now.close();
  await harness.controller.start();
});
