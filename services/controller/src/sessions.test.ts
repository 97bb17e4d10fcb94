import { FleetError } from '@mcfleet/common/error';
import { callUnary, createClient } from '@mcfleet/common/grpc/client';
import { toRpcStatus } from '@mcfleet/common/status-details';
import { AgentServiceClient, type RelayResult, SyncMode } from '@mcfleet/proto/mcfleet/v1/agent_service';
import { ConditionStatus } from '@mcfleet/proto/mcfleet/v1/common';
import { Host } from '@mcfleet/proto/mcfleet/v1/host';
import { InstanceState, Relay, type RelayInstance } from '@mcfleet/proto/mcfleet/v1/relay';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TestAgent, type TestAgentOptions } from './testing/test-agent.ts';
import { defined, eventually, relay, TestController } from './testing/test-controller.ts';

const TIMEOUT = { timeoutMs: 5000 };
let controller: TestController;
let agents: TestAgent[];

beforeEach(async () => {
  agents = [];
  controller = await new TestController({
    heartbeatMs: 60,
    helloTimeoutMs: 200,
    ackTimeoutMs: 400,
    retryMs: 20,
    maxRetryMs: 40,
  }).start();
});

afterEach(async () => {
  for (const agent of agents) {
    expect(agent.violations).toEqual([]);
    agent.drop();
  }
  await controller.dispose();
});

function connect(options: Partial<TestAgentOptions> = {}): TestAgent {
  const agent = new TestAgent({ host: 'edge-1', controller: controller.agents, ...options });
  agents.push(agent);
  return agent;
}

function create(subject: Relay): Promise<Relay> {
  return callUnary(
    controller.relays,
    'createRelay',
    { relayId: '', relay: subject, requestId: '', validateOnly: false },
    TIMEOUT,
  );
}

async function instance(parent = 'relays/a'): Promise<RelayInstance> {
  const { relayInstances } = await callUnary(
    controller.relays,
    'listRelayInstances',
    { parent, pageSize: 0, pageToken: '' },
    TIMEOUT,
  );
  return defined(relayInstances[0]);
}

function condition({ conditions }: Pick<RelayInstance, 'conditions'>, type: string): [ConditionStatus, string] {
  const found = defined(conditions.find((each) => each.type === type));
  return [found.status, found.reason];
}

const host = () => callUnary(controller.fleet, 'getHost', { name: 'edge-1' }, TIMEOUT);

test('an agent that comes first registers its host, gets an empty snapshot, and is shown as connected', async () => {
  const agent = connect({
    labels: { role: 'edge' },
    hello: { kernel: '6.18.0', capabilities: ['engine.userspace.v4'] },
  });
  const welcome = await agent.welcomed;
  expect(welcome.sync).toBe(SyncMode.SNAPSHOT);
  expect(welcome.protocol).toBe(1);
  const shown = await eventually(host, ({ status }) => status?.conditions[1]?.status === ConditionStatus.TRUE);
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
  expect(agent.updates).toEqual([expect.objectContaining({ base: 0n, upserts: [], removed: [] })]);
});

test('a relay goes down, its result comes up', async () => {
  const agent = connect();
  await agent.welcomed;
  const before = await create(relay('a'));
  expect(before.reconciling).toBe(true);
  await eventually(
    () => agent.relayNames,
    (names) => names.length === 1,
  );
  const after = await eventually(
    () => callUnary(controller.relays, 'getRelay', { name: 'a' }, TIMEOUT),
    ({ reconciling }) => !reconciling,
  );
  expect(after.status).toMatchObject({
    observedGeneration: 1n,
    desiredInstances: 1,
    updatedInstances: 1,
    readyInstances: 1,
  });
  expect(condition(defined(after.status), 'Ready')).toEqual([ConditionStatus.TRUE, 'Forwarding']);
  const shown = await instance();
  expect(shown).toMatchObject({
    name: 'hosts/edge-1/relayInstances/a',
    desiredGeneration: 1n,
    appliedGeneration: 1n,
    state: InstanceState.READY,
    effectiveEngine: 2,
  });
  const { status } = await host();
  expect(status).toMatchObject({ relays: 1, appliedRevision: after.revision, desiredRevision: after.revision });
});

test('an agent that holds what it shall hold gets no configuration, after a restart of the controller too', async () => {
  const first = connect();
  await first.welcomed;
  await create(relay('a'));
  await eventually(
    () => first.relayNames.length,
    (count) => count === 1,
  );
  await controller.stop();
  expect((await first.ended)?.reason).toBe('SHUTTING_DOWN');
  expect(first.control?.reason?.message).toContain('shuts down');
  await controller.start();
  const second = connect({ state: first.state });
  expect((await second.welcomed).sync).toBe(SyncMode.UP_TO_DATE);
  await eventually(instance, ({ state }) => state === InstanceState.READY);
  expect(second.updates).toEqual([]);
});

test('an agent that missed a change gets the difference', async () => {
  const first = connect();
  await first.welcomed;
  await create(relay('a'));
  await create(relay('b', { outputPort: 6002 }));
  await eventually(
    () => first.relayNames.length,
    (count) => count === 2,
  );
  first.goodbye();
  await first.ended;
  await create(relay('c', { outputPort: 6003 }));
  await callUnary(
    controller.relays,
    'deleteRelay',
    { name: 'a', etag: '', requestId: '', validateOnly: false, allowMissing: false },
    TIMEOUT,
  );
  const second = connect({ state: first.state });
  expect((await second.welcomed).sync).toBe(SyncMode.DELTA);
  await eventually(
    () => second.relayNames,
    (names) => names.join() === 'relays/b,relays/c',
  );
  expect(second.updates).toEqual([expect.objectContaining({ upserts: ['relays/c'], removed: [expect.any(String)] })]);
});

test.each([
  ['of another cluster', { clusterUid: 'other', appliedRevision: 1n }],
  ['of the future', { appliedRevision: 1000n }],
  ['that it does not list', { known: [] }],
])('an agent with state %s gets a snapshot', async (_, hello) => {
  const first = connect();
  await first.welcomed;
  await create(relay('a'));
  await eventually(
    () => first.relayNames.length,
    (count) => count === 1,
  );
  first.goodbye();
  await first.ended;
  await create(relay('b', { outputPort: 6002 }));
  const second = connect({ state: first.state, hello });
  expect((await second.welcomed).sync).toBe(SyncMode.SNAPSHOT);
  await eventually(
    () => second.relayNames.length,
    (count) => count === 2,
  );
  expect(second.updates[0]?.base).toBe(0n);
});

test('a burst of changes becomes few updates, each in flight alone', async () => {
  const agent = connect();
  await agent.welcomed;
  await Promise.all(Array.from({ length: 100 }, (_, i) => create(relay(`r${i}`, { outputPort: 7000 + i }))));
  await eventually(
    () => agent.relayNames.length,
    (count) => count === 100,
  );
  expect(agent.updates.length).toBeLessThan(50);
});

test('a large snapshot comes in chunks below the window', async () => {
  const agent = connect();
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
      return create(
        Relay.fromPartial({
          ...subject,
          spec: { ...subject.spec, input: { interface: 'eth0', group: `239.1.2.${i}` }, outputs },
        } as object),
      );
    }),
  );
  const second = connect({ state: agent.state });
  await eventually(
    () => second.relayNames.length,
    (count) => count === 60,
  );
  expect(second.updates[0]?.chunks).toBeGreaterThan(1);
});

test('one refused relay does not hold up its neighbours, and is not sent again until it changes', async () => {
  const error = toRpcStatus(new FleetError({ code: 9, reason: 'NO_SUCH_THING', message: 'cannot do that' }));
  const judge = ({ name, relay: body }: { name: string; relay: unknown }): Partial<RelayResult> =>
    name === 'relays/bad' && !JSON.stringify(body).includes('6099') ? { state: InstanceState.FAILED, error } : {};
  const agent = connect({ judge });
  await agent.welcomed;
  await create(relay('bad', { outputPort: 6098 }));
  await create(relay('a'));
  const failed = await eventually(
    () => instance('relays/bad'),
    ({ state }) => state === InstanceState.FAILED,
  );
  expect(condition(failed, 'Programmed')).toEqual([ConditionStatus.FALSE, 'NoSuchThing']);
  expect(failed.lastError?.message).toBe('cannot do that');
  await eventually(
    () => instance('relays/a'),
    ({ state }) => state === InstanceState.READY,
  );
  const whole = await callUnary(controller.relays, 'getRelay', { name: 'bad' }, TIMEOUT);
  expect(whole.status).toMatchObject({ failedInstances: 1, sampleFailures: ['edge-1'] });
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(agent.updates.flatMap(({ upserts }) => upserts).filter((name) => name === 'relays/bad')).toHaveLength(1);
  const fixed = { ...relay('bad', { outputPort: 6099 }) };
  await callUnary(
    controller.relays,
    'updateRelay',
    { relay: fixed, updateMask: ['spec.outputs'], allowMissing: false, requestId: '', validateOnly: false },
    TIMEOUT,
  );
  await eventually(
    () => instance('relays/bad'),
    ({ state }) => state === InstanceState.READY,
  );
});

test('a relay that was refused for a passing reason is sent again', async () => {
  const error = toRpcStatus(new FleetError({ code: 14, reason: 'BUSY', message: 'later' }));
  let refusals = 3;
  const agent = connect({ judge: () => (refusals-- > 0 ? { state: InstanceState.FAILED, error } : {}) });
  await agent.welcomed;
  await create(relay('a'));
  await eventually(instance, ({ state }) => state === InstanceState.READY);
  expect(agent.updates.flatMap(({ upserts }) => upserts)).toEqual(Array(4).fill('relays/a'));
});

test('a relay that was refused for good is sent again when the interfaces change', async () => {
  const error = toRpcStatus(new FleetError({ code: 9, reason: 'NO_INTERFACE', message: 'not there' }));
  let isThere = false;
  const agent = connect({ judge: () => (isThere ? {} : { state: InstanceState.FAILED, error }) });
  await agent.welcomed;
  await create(relay('a'));
  await eventually(instance, ({ state }) => state === InstanceState.FAILED);
  isThere = true;
  agent.send({
    $case: 'inventory',
    value: {
      interfaces: [
        { index: 7, name: 'eth0', mac: '', mtu: 1500, flags: ['UP'], addresses: [], operState: 'up', kind: 'veth' },
      ],
    },
  });
  await eventually(instance, ({ state }) => state === InstanceState.READY);
  expect((await host()).status?.interfaces).toEqual([expect.objectContaining({ name: 'eth0', index: 7 })]);
});

test('reports without an update change the instance; the transition time moves only with the status', async () => {
  const agent = connect();
  await agent.welcomed;
  const { uid } = await create(relay('a'));
  const ready = await eventually(instance, ({ state }) => state === InstanceState.READY);
  agent.report([{ uid, generation: 1n, state: InstanceState.READY, engineReason: 'REQUESTED' }]);
  const still = await eventually(instance, ({ engineReason }) => engineReason === 'REQUESTED');
  expect(still.conditions).toEqual(ready.conditions);
  agent.report([
    {
      uid,
      generation: 1n,
      state: InstanceState.DEGRADED,
      outputsDown: [
        {
          output: '239.10.10.10:6001@eth1',
          txPackets: 0n,
          txBytes: 0n,
          drops: [],
          up: false,
          downReason: 'InterfaceDown',
        },
      ],
    },
  ]);
  const degraded = await eventually(instance, ({ state }) => state === InstanceState.DEGRADED);
  expect(condition(degraded, 'Programmed')).toEqual([ConditionStatus.TRUE, 'OutputsDown']);
  expect(condition(degraded, 'Ready')).toEqual([ConditionStatus.FALSE, 'OutputsDown']);
  const since = (shown: RelayInstance, type: string) =>
    shown.conditions.find((each) => each.type === type)?.lastTransitionTime;
  expect(since(degraded, 'Programmed')).toEqual(since(ready, 'Programmed'));
  expect(defined(since(degraded, 'Ready')).getTime()).toBeGreaterThan(defined(since(ready, 'Ready')).getTime());
});

test('counters are shown, and only of relays that the host shall run', async () => {
  const agent = connect();
  await agent.welcomed;
  const { uid } = await create(relay('a'));
  await eventually(instance, ({ state }) => state === InstanceState.READY);
  const counters = {
    rxPackets: 2n ** 60n,
    rxBytes: 5n,
    outputs: [],
    drops: [{ reason: 'tx_full', packets: 3n }],
    lastPacketTime: undefined,
  };
  const time = 1_800_000_000_000;
  agent.send({
    $case: 'telemetry',
    value: {
      timeUnixNano: BigInt(time) * 1_000_000n,
      relays: [
        { uid, counters },
        { uid: 'unknown', counters },
      ],
    },
  });
  const shown = await eventually(instance, (each) => each.counters !== undefined);
  expect(shown.counters).toEqual(counters);
  expect(shown.countersTime?.getTime()).toBe(time);
});

test('a host that is gone keeps its last state, but is no longer known to be ready', async () => {
  const agent = connect();
  await agent.welcomed;
  await create(relay('a'));
  await eventually(instance, ({ state }) => state === InstanceState.READY);
  agent.goodbye();
  const gone = await eventually(instance, (each) => condition(each, 'Ready')[0] === ConditionStatus.UNKNOWN);
  expect(gone.state).toBe(InstanceState.READY);
  expect(condition(gone, 'Ready')).toEqual([ConditionStatus.UNKNOWN, 'HostNotConnected']);
  expect((await host()).status?.connected).toBe(false);
});

test('a silent agent loses its session when the lease ends', async () => {
  const agent = connect({ isSilent: true });
  expect((await agent.ended)?.reason).toBe('LEASE_EXPIRED');
  expect((await host()).status?.conditions[0]).toMatchObject({
    type: 'Connected',
    status: ConditionStatus.FALSE,
    reason: 'HostNotConnected',
  });
});

test('an agent that never acknowledges loses its session', async () => {
  const agent = connect({ isMute: true });
  expect((await agent.ended)?.reason).toBe('ACK_TIMEOUT');
});

test('the newer of two sessions of a host wins', async () => {
  const older = connect();
  await older.welcomed;
  const newer = connect();
  await newer.welcomed;
  const end = await older.ended;
  expect(end).toMatchObject({ code: 10, reason: 'SESSION_REPLACED' });
  expect(older.control?.reason?.code).toBe(10);
  const { sessionId } = await newer.welcomed;
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect((await host()).status).toMatchObject({ connected: true, sessionId });
});

test('an agent whose state differs for three heartbeats gets a snapshot', async () => {
  const agent = connect();
  await agent.welcomed;
  await create(relay('a'));
  await eventually(instance, ({ state }) => state === InstanceState.READY);
  const before = agent.updates.length;
  agent.pretend(Buffer.alloc(16, 1));
  await eventually(
    () => agent.updates.length,
    (count) => count > before,
  );
  agent.pretend(undefined);
  expect(agent.updates[before]).toMatchObject({ base: 0n, upserts: ['relays/a'] });
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(agent.updates.length).toBe(before + 1);
});

test.each([
  ['a bad host name', { host: 'Edge 1' }, 'HELLO_INVALID'],
  ['bad labels', { labels: { 'a b': 'c' } }, 'HELLO_INVALID'],
  ['a protocol of the future', { hello: { protocolMin: 2, protocolMax: 3 } }, 'PROTOCOL_UNSUPPORTED'],
])('refuses an agent with %s', async (_, options, reason) => {
  expect((await connect(options).ended)?.reason).toBe(reason);
});

test('refuses an agent that has seen a higher term of this cluster', async () => {
  const first = connect();
  await first.welcomed;
  await eventually(
    () => first.state.clusterUid,
    (uid) => uid !== '',
  );
  const second = connect({ state: first.state, hello: { highestTerm: 9n } });
  expect((await second.ended)?.reason).toBe('STALE_CONTROLLER');
});

test('refuses a second Hello, a gap in the sequence, and silence before Hello', async () => {
  const twice = connect();
  await twice.welcomed;
  twice.send({ $case: 'hello', value: twice.state as never });
  expect((await twice.ended)?.reason).toBe('HELLO_REQUIRED');
  const gap = connect();
  await gap.welcomed;
  gap.send({ $case: 'inventory', value: { interfaces: [] } }, 99n);
  expect((await gap.ended)?.reason).toBe('SEQUENCE_BROKEN');
  const client = createClient(AgentServiceClient, controller.agents);
  const call = client.connect();
  const code = await new Promise((resolve) =>
    call.on('error', (error: { code: number }) => resolve(error.code)).resume(),
  );
  expect(code).toBe(4);
  client.close();
});

test('labels place relays, when they change too, and a conflict that comes of that keeps the older one', async () => {
  const agent = connect({ labels: { role: 'edge' } });
  await agent.welcomed;
  const byLabel = (name: string, matchLabels: Record<string, string>): Relay =>
    Relay.fromPartial({ ...relay(name), spec: { ...relay(name).spec, hosts: { matchLabels } } } as object);
  await create(byLabel('older', { role: 'edge' }));
  await create(byLabel('younger', { site: 'a' }));
  await eventually(
    () => agent.relayNames,
    (names) => names.join() === 'relays/older',
  );
  const label = (labels: Record<string, string>) =>
    callUnary(
      controller.fleet,
      'updateHost',
      {
        host: Host.fromPartial({ name: 'edge-1', labels }),
        updateMask: ['labels'],
        allowMissing: false,
        validateOnly: false,
      },
      TIMEOUT,
    );
  await label({ site: 'a' });
  const blocked = await eventually(
    () => instance('relays/younger'),
    ({ conditions }) => conditions[0]?.reason === 'Conflict',
  );
  expect(blocked.lastError?.message).toContain('relays/younger and relays/older');
  expect(agent.relayNames).toEqual(['relays/older']);
  const whole = await callUnary(controller.relays, 'getRelay', { name: 'younger' }, TIMEOUT);
  expect(condition(defined(whole.status), 'Accepted')).toEqual([ConditionStatus.FALSE, 'Conflict']);
  await label({ site: 'a', role: 'core' });
  await eventually(
    () => agent.relayNames,
    (names) => names.join() === 'relays/younger',
  );
});
