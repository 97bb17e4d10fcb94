import { createClient } from '@mcfleet/common/grpc/client';
import { AgentServiceClient } from '@mcfleet/proto/mcfleet/v1/agent_service';
import { ConditionStatus } from '@mcfleet/proto/mcfleet/v1/common';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { SessionOptions } from './sessions/session-options.ts';
import { SessionHarness } from './testing/session-harness.ts';
import { eventually } from './testing/test-controller.ts';

let harness: SessionHarness;

beforeEach(async () => {
  harness = await new SessionHarness().start();
});

afterEach(() => harness.dispose());

/** Another controller in the place of the first, with time limits that the test is about. */
async function startWith(sessions: Partial<SessionOptions>): Promise<void> {
  await harness.dispose();
  harness = await new SessionHarness(sessions).start();
}

test('a silent agent loses its session when the lease ends', async () => {
  await startWith({ heartbeatMs: 60 });
  const agent = harness.connect({ isSilent: true });
  expect((await agent.ended)?.reason).toBe('LEASE_EXPIRED');
  expect((await harness.host()).status?.conditions[0]).toMatchObject({
    type: 'Connected',
    status: ConditionStatus.FALSE,
    reason: 'HostNotConnected',
  });
});

test('an agent that never acknowledges loses its session', async () => {
  await startWith({ ackTimeoutMs: 200 });
  const agent = harness.connect({ isMute: true });
  expect((await agent.ended)?.reason).toBe('ACK_TIMEOUT');
});

test('the newer of two sessions of a host wins', async () => {
  const older = harness.connect();
  await older.welcomed;
  const newer = harness.connect();
  await newer.welcomed;
  const end = await older.ended;
  expect(end).toMatchObject({ code: 10, reason: 'SESSION_REPLACED' });
  expect(older.control?.reason?.code).toBe(10);
  const { sessionId } = await newer.welcomed;
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect((await harness.host()).status).toMatchObject({ connected: true, sessionId });
});

const olderAgent = { hello: { instanceUid: 'a', startTime: new Date(1000) } };
const newerAgent = { hello: { instanceUid: 'b', startTime: new Date(2000) } };
const duplicate = async () => (await harness.host()).status?.conditions.find(({ type }) => type === 'DuplicateAgent');

test('two agents under one name: the one started later keeps the session, and the host says so', async () => {
  const first = harness.connect(olderAgent);
  await first.welcomed;
  const second = harness.connect(newerAgent);
  const { sessionId } = await second.welcomed;
  expect((await first.ended)?.reason).toBe('SESSION_REPLACED');
  expect(await duplicate()).toBeUndefined();

  const again = await harness.connect(olderAgent).ended;
  expect(again).toMatchObject({ code: 9, reason: 'DUPLICATE_AGENT', retryDelayMs: 10_000 });
  const found = await duplicate();
  expect(found).toMatchObject({ status: ConditionStatus.TRUE, reason: 'SameNameTwice' });
  expect(found?.message).toMatch(
    /call themselves edge-1: that at .*1970-01-01T00:00:02.000Z\) has the session, that at .*1970-01-01T00:00:01.000Z\)/,
  );
  const { revision } = await harness.host();
  expect((await harness.connect(olderAgent).ended)?.reason).toBe('DUPLICATE_AGENT');
  expect(await duplicate()).toEqual(found);
  expect(await harness.host()).toMatchObject({ revision, status: { connected: true, sessionId } });
});

test('a name is free again when one of two agents is gone', async () => {
  await startWith({ rivalRetryMs: 400 });
  const first = harness.connect(olderAgent);
  await first.welcomed;
  const second = harness.connect(newerAgent);
  await second.welcomed;
  await first.ended;
  expect(await harness.connect(olderAgent).ended).toMatchObject({ reason: 'DUPLICATE_AGENT', retryDelayMs: 400 });

  const cleared = await eventually(duplicate, (condition) => condition?.status === ConditionStatus.FALSE);
  expect(cleared).toMatchObject({ reason: 'OneAgent' });
  // Whoever comes when the other has left gets the session.
  second.goodbye();
  await second.ended;
  await harness.connect(olderAgent).welcomed;
});

test('of two agents under one name the one started later also takes the session back', async () => {
  const first = harness.connect(newerAgent);
  await first.welcomed;
  const second = harness.connect(olderAgent);
  await second.welcomed;
  await first.ended;
  await harness.connect(newerAgent).welcomed;
  expect((await second.ended)?.reason).toBe('SESSION_REPLACED');
  expect((await harness.connect(olderAgent).ended)?.reason).toBe('DUPLICATE_AGENT');
});

test.each([
  ['a bad host name', { host: 'Edge 1' }, 'HELLO_INVALID'],
  ['bad labels', { labels: { 'a b': 'c' } }, 'HELLO_INVALID'],
  ['a protocol of the future', { hello: { protocolMin: 2, protocolMax: 3 } }, 'PROTOCOL_UNSUPPORTED'],
])('refuses an agent with %s', async (_, options, reason) => {
  expect((await harness.connect(options).ended)?.reason).toBe(reason);
});

test('refuses an agent that has seen a higher term of this cluster', async () => {
  const first = harness.connect();
  await first.welcomed;
  await eventually(
    () => first.state.clusterUid,
    (uid) => uid !== '',
  );
  const second = harness.connect({ state: first.state, hello: { highestTerm: 9n } });
  expect((await second.ended)?.reason).toBe('STALE_CONTROLLER');
});

test('a host that holds state of another cluster shows that, and why it leaves, until it takes what this one sends', async () => {
  const other = async () => (await harness.host()).status?.conditions.find(({ type }) => type === 'OtherCluster');
  const first = harness.connect();
  await first.welcomed;
  expect(await other()).toBeUndefined();
  first.goodbye();
  await first.ended;
  const elsewhere = { clusterUid: 'c9', term: 1n, revision: 3n, assignments: new Map() };
  const second = harness.connect({ state: elsewhere, isMute: true });
  const { clusterUid } = await second.welcomed;
  const found = await eventually(other, (condition) => condition !== undefined);
  expect(found).toMatchObject({ status: ConditionStatus.TRUE, reason: 'StateOfAnotherCluster' });
  expect(found?.message).toContain('c9');
  expect(found?.message).toContain(`--adopt-cluster ${clusterUid}`);
  second.goodbye();
  await second.ended;
  expect(await other()).toBeDefined();
  expect((await harness.host()).status?.conditions[0]).toMatchObject({ type: 'Connected', message: 'test' });
  // One that was told to adopt it.
  harness.connect({ state: elsewhere });
  await eventually(other, (condition) => condition === undefined);
});

test('refuses a second Hello, and a gap in the sequence', async () => {
  const twice = harness.connect();
  await twice.welcomed;
  twice.send({ $case: 'hello', value: twice.state as never });
  expect((await twice.ended)?.reason).toBe('HELLO_REQUIRED');
  const gap = harness.connect();
  await gap.welcomed;
  gap.send({ $case: 'inventory', value: { interfaces: [] } }, 99n);
  expect((await gap.ended)?.reason).toBe('SEQUENCE_BROKEN');
});

test('ends a stream that brings no Hello', async () => {
  await startWith({ helloTimeoutMs: 200 });
  const client = createClient(AgentServiceClient, harness.controller.agents);
  const call = client.connect();
  const code = await new Promise((resolve) =>
    call.on('error', (error: { code: number }) => resolve(error.code)).resume(),
  );
  expect(code).toBe(4);
  client.close();
});
