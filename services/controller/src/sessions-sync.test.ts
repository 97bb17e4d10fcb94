import { SyncMode } from '@mcfleet/proto/mcfleet/v1/agent_service';
import { ConditionStatus } from '@mcfleet/proto/mcfleet/v1/common';
import { InstanceState, Relay } from '@mcfleet/proto/mcfleet/v1/relay';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { condition, SessionHarness } from './testing/session-harness.ts';
import type { TestAgent } from './testing/test-agent.ts';
import { defined, eventually, relay } from './testing/test-controller.ts';

let harness: SessionHarness;

beforeEach(async () => {
  harness = await new SessionHarness().start();
});

afterEach(() => harness.dispose());

/** Waits until an agent holds so many relays. */
async function holds(agent: TestAgent, relays: number): Promise<void> {
  await eventually(
    () => agent.relayNames.length,
    (count) => count === relays,
  );
}

/** Ends the session of an agent in order, once it holds so many relays. */
async function leaveHolding(agent: TestAgent, relays: number): Promise<void> {
  await holds(agent, relays);
  agent.goodbye();
  await agent.ended;
}

test('an agent that comes first registers its host, gets an empty snapshot, and is shown as connected', async () => {
  const agent = harness.connect({
    labels: { role: 'edge' },
    hello: { kernel: '6.18.0', capabilities: ['engine.userspace.v4'] },
  });
  const welcome = await agent.welcomed;
  expect(welcome.sync).toBe(SyncMode.SNAPSHOT);
  expect(welcome.protocol).toBe(1);
  agent.heartbeat();
  const shown = await eventually(harness.host, ({ status }) => status?.conditions[1]?.status === ConditionStatus.TRUE);
  expect(shown).toMatchObject({
    name: 'hosts/edge-1',
    status: {
      connected: true,
      sessionId: welcome.sessionId,
      agentVersion: '0.1.0-test',
      kernel: '6.18.0',
      capabilities: ['engine.userspace.v4'],
      agentLabels: { role: 'edge' },
    },
  });
  await eventually(
    () => agent.updates.length,
    (count) => count > 0,
  );
  expect(agent.updates).toEqual([expect.objectContaining({ base: 0n, upserts: [], removed: [] })]);
});

test('an agent that holds what it shall hold gets no configuration, after a restart of the controller too', async () => {
  const first = harness.connect();
  await first.welcomed;
  await harness.create(relay('a'));
  await holds(first, 1);
  await harness.controller.stop();
  expect((await first.ended)?.reason).toBe('SHUTTING_DOWN');
  expect(first.control?.reason?.message).toContain('shuts down');
  await harness.controller.start();
  const second = harness.connect({ state: first.state });
  expect((await second.welcomed).sync).toBe(SyncMode.UP_TO_DATE);
  await eventually(harness.instance, ({ state }) => state === InstanceState.READY);
  expect(second.updates).toEqual([]);
});

test('an agent that missed a change gets the difference', async () => {
  const first = harness.connect();
  await first.welcomed;
  await harness.create(relay('a'));
  await harness.create(relay('b', { outputPort: 6002 }));
  await leaveHolding(first, 2);
  await harness.create(relay('c', { outputPort: 6003 }));
  await harness.remove('a');
  const second = harness.connect({ state: first.state });
  expect((await second.welcomed).sync).toBe(SyncMode.DELTA);
  await eventually(
    () => second.relayNames,
    (names) => names.join() === 'relays/b,relays/c',
  );
  expect(second.updates).toEqual([expect.objectContaining({ upserts: ['relays/c'], removed: [expect.any(String)] })]);
});

test('an agent whose connection breaks before it carried an update out gets that difference again', async () => {
  let second: TestAgent | undefined;
  let isBreaking = false;
  const first = harness.connect({
    onUpdate: () => {
      if (!isBreaking) return;
      first.drop();
      second = harness.connect({ state: first.state });
    },
  });
  await first.welcomed;
  await harness.create(relay('a'));
  await eventually(harness.instance, ({ state }) => state === InstanceState.READY);
  const held = first.state.revision;
  isBreaking = true;
  await harness.create(relay('b', { outputPort: 6002 }));
  await eventually(
    () => second?.relayNames,
    (names) => names?.join() === 'relays/a,relays/b',
  );
  expect((await second?.welcomed)?.sync).toBe(SyncMode.DELTA);
  expect(second?.updates).toEqual([expect.objectContaining({ base: held, upserts: ['relays/b'], removed: [] })]);
});

test('an agent that holds more than its Hello said refuses the difference, and gets a snapshot', async () => {
  const first = harness.connect();
  await first.welcomed;
  await harness.create(relay('a'));
  await eventually(harness.instance, ({ state }) => state === InstanceState.READY);
  const hello = {
    appliedRevision: first.state.revision,
    stateHash: first.hash,
    known: [...first.state.assignments.values()].map(({ uid, generation, contentHash }) => ({
      ...{ uid, generation, contentHash },
    })),
  };
  await harness.create(relay('b', { outputPort: 6002 }));
  await leaveHolding(first, 2);
  const { revision } = first.state;
  await harness.remove('a');
  const second = harness.connect({ state: first.state, hello });
  expect((await second.welcomed).sync).toBe(SyncMode.DELTA);
  await eventually(
    () => second.relayNames,
    (names) => names.join() === 'relays/b',
  );
  expect(second.updates.map(({ base }) => base)).toEqual([hello.appliedRevision, 0n]);
  expect(second.violations.splice(0)).toEqual([`a difference to ${hello.appliedRevision} while ${revision} is held`]);
  await eventually(harness.host, ({ status }) => status?.stateHash.equals(second.hash) === true);
});

test.each([
  ['of another cluster', { clusterUid: 'other', appliedRevision: 1n }],
  ['that it does not list', { known: [] }],
])('an agent with state %s gets a snapshot', async (_, hello) => {
  const first = harness.connect();
  await first.welcomed;
  await harness.create(relay('a'));
  await holds(first, 1);
  first.goodbye();
  await first.ended;
  await harness.create(relay('b', { outputPort: 6002 }));
  const second = harness.connect({ state: first.state, hello });
  expect((await second.welcomed).sync).toBe(SyncMode.SNAPSHOT);
  await holds(second, 2);
  expect(second.updates[0]?.base).toBe(0n);
});

test('what changes while an update is in flight becomes one more', async () => {
  const changed = Promise.withResolvers<void>();
  const agent = harness.connect({ onUpdate: () => (agent.updates.length > 1 ? changed.promise : undefined) });
  await agent.welcomed;
  await Promise.all(Array.from({ length: 100 }, (_, i) => harness.create(relay(`r${i}`, { outputPort: 7000 + i }))));
  changed.resolve();
  await holds(agent, 100);
  // The empty snapshot, the first changes, and all others.
  expect(agent.updates.length).toBeLessThanOrEqual(3);
});

test('a large snapshot comes in chunks below the window', async () => {
  const agent = harness.connect();
  await agent.welcomed;
  agent.goodbye();
  await agent.ended;
  const outputs = Array.from({ length: 50 }, (_, i) => ({
    interface: `eth${i}`,
    address: '239.200.200.200',
    port: 6000,
  }));
  await Promise.all(
    Array.from({ length: 60 }, (_, i) => {
      const subject = relay(`r${i}`);
      return harness.create(
        Relay.fromPartial({
          ...subject,
          spec: { ...subject.spec, input: { interface: 'eth0', group: `239.1.2.${i}` }, outputs },
        } as object),
      );
    }),
  );
  const second = harness.connect({ state: agent.state });
  await holds(second, 60);
  expect(second.updates[0]?.chunks).toBeGreaterThan(1);
});

test('an agent whose state differs for three heartbeats gets a snapshot', async () => {
  const agent = harness.connect();
  await agent.welcomed;
  await harness.create(relay('a'));
  await eventually(harness.instance, ({ state }) => state === InstanceState.READY);
  const before = agent.updates.length;
  const another = Buffer.alloc(16, 1);
  const beat = async (hash: Buffer): Promise<void> => {
    agent.heartbeat(hash);
    await eventually(harness.host, ({ status }) => status?.stateHash.equals(hash) === true);
  };
  // One that agrees begins the count anew.
  for (const hash of [another, another, agent.hash, another, another]) await beat(hash);
  expect(agent.updates.length).toBe(before);
  agent.heartbeat(another);
  await eventually(
    () => agent.updates.length,
    (count) => count > before,
  );
  expect(agent.updates[before]).toMatchObject({ base: 0n, upserts: ['relays/a'] });
  await eventually(harness.host, ({ status }) => status?.stateHash.equals(agent.hash) === true);
  for (let i = 0; i < 4; i++) agent.heartbeat();
  await beat(another);
  expect(agent.updates.length).toBe(before + 1);
});

test('labels place relays, when they change too, and a conflict that comes of that keeps the older one', async () => {
  const agent = harness.connect({ labels: { role: 'edge' } });
  await agent.welcomed;
  const byLabel = (name: string, matchLabels: Record<string, string>): Relay =>
    Relay.fromPartial({ ...relay(name), spec: { ...relay(name).spec, hosts: { matchLabels } } } as object);
  await harness.create(byLabel('older', { role: 'edge' }));
  await harness.create(byLabel('younger', { site: 'a' }));
  await eventually(
    () => agent.relayNames,
    (names) => names.join() === 'relays/older',
  );
  const label = (labels: Record<string, string>) => harness.label('edge-1', labels);
  await label({ site: 'a' });
  const blocked = await eventually(
    () => harness.instance('relays/younger'),
    ({ conditions }) => conditions[0]?.reason === 'Conflict',
  );
  expect(blocked.lastError?.message).toContain('relays/younger and relays/older');
  expect(agent.relayNames).toEqual(['relays/older']);
  const whole = await harness.get('younger');
  expect(condition(defined(whole.status), 'Accepted')).toEqual([ConditionStatus.FALSE, 'Conflict']);
  await label({ site: 'a', role: 'core' });
  await eventually(
    () => agent.relayNames,
    (names) => names.join() === 'relays/younger',
  );
});
