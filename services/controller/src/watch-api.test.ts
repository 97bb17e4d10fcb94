import type { ClientReadableStream } from '@grpc/grpc-js';
import { callUnary } from '@mcfleet/common/grpc/client';
import { fromServiceError } from '@mcfleet/common/status-details';
import { ChangeType } from '@mcfleet/proto/mcfleet/v1/common';
import { Host } from '@mcfleet/proto/mcfleet/v1/host';
import { Relay } from '@mcfleet/proto/mcfleet/v1/relay';
import { WatchRelaysRequest, type WatchRelaysResponse } from '@mcfleet/proto/mcfleet/v1/relay_service';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { SlowWatcher } from './testing/slow-watcher.ts';
import { TestAgent } from './testing/test-agent.ts';
import { defined, eventually, relay, TestController } from './testing/test-controller.ts';

const TIMEOUT = { timeoutMs: 30_000 };
let controller: TestController;
let open: { cancel(): void }[];

beforeEach(async () => {
  open = [];
  controller = await new TestController().start();
  const host = Host.fromPartial({ name: 'edge-1' });
  await callUnary(
    controller.fleet,
    'updateHost',
    { host, updateMask: undefined, allowMissing: true, validateOnly: false },
    TIMEOUT,
  );
});

afterEach(async () => {
  for (const each of open) each.cancel();
  await controller.dispose();
});

const create = (subject: Relay): Promise<Relay> =>
  callUnary(
    controller.relays,
    'createRelay',
    { relayId: '', relay: subject, requestId: '', validateOnly: false },
    TIMEOUT,
  );
const update = (subject: object): Promise<Relay> =>
  callUnary(
    controller.relays,
    'updateRelay',
    {
      relay: Relay.fromPartial(subject),
      updateMask: undefined,
      allowMissing: false,
      requestId: '',
      validateOnly: false,
    },
    TIMEOUT,
  );
const remove = (name: string) =>
  callUnary(
    controller.relays,
    'deleteRelay',
    { name, etag: '', requestId: '', validateOnly: false, allowMissing: false },
    TIMEOUT,
  );
const list = () =>
  callUnary(controller.relays, 'listRelays', { pageSize: 0, pageToken: '', labelSelector: {} }, TIMEOUT);

/** Follows a stream: what came, and how it ended. */
class Follower<Message> {
  readonly messages: Message[] = [];
  error: ReturnType<typeof fromServiceError> | undefined;

  constructor(stream: ClientReadableStream<Message>) {
    open.push(stream);
    stream.on('data', (message: Message) => this.messages.push(message));
    stream.on('error', (error) => {
      this.error = fromServiceError(error as never);
    });
  }
}

class RelayFollower extends Follower<WatchRelaysResponse> {
  get told(): string[] {
    const names = new Map(Object.entries(ChangeType).map(([name, value]) => [value as number, name]));
    return this.messages
      .flatMap(({ events }) => events)
      .filter(({ type }) => type !== ChangeType.BOOKMARK)
      .map(({ type, relay: subject }) =>
        [names.get(type), subject?.name.slice('relays/'.length)].filter(Boolean).join(' '),
      );
  }

  get token(): string {
    return defined(this.messages.at(-1)).resumeToken;
  }
}

async function watch(request: object = {}): Promise<RelayFollower> {
  const follower = new RelayFollower(controller.relays.watchRelays(WatchRelaysRequest.fromPartial(request)));
  await eventually(
    () => follower.messages.length + (follower.error === undefined ? 0 : 1),
    (count) => count > 0,
  );
  return follower;
}

test('tells what is there, that this was all, and then each change', async () => {
  await create(relay('a'));
  await create(relay('b', { outputPort: 6002 }));
  const follower = await watch({ sendInitial: true });
  await eventually(
    () => follower.told,
    (told) => told.join() === 'ADDED a,ADDED b,SYNCED',
  );
  await create(relay('c', { outputPort: 6003 }));
  await update({ name: 'a', displayName: 'A' });
  await remove('b');
  const told = await eventually(
    () => follower.told,
    ({ length }) => length === 6,
  );
  expect(told.slice(3)).toEqual(['ADDED c', 'MODIFIED a', 'DELETED b']);
});

test('without send_initial it tells changes from now on', async () => {
  await create(relay('a'));
  const follower = await watch();
  await update({ name: 'a', displayName: 'A' });
  await eventually(
    () => follower.told,
    (told) => told.join() === 'MODIFIED a',
  );
});

test('a watch by labels tells of relays that begin and cease to match', async () => {
  await create(relay('a', { labels: { site: 'a' } }));
  await create(relay('b', { outputPort: 6002 }));
  const follower = await watch({ sendInitial: true, labelSelector: { site: 'a' } });
  await update({ name: 'b', labels: { site: 'a' } });
  await eventually(
    () => follower.told.length,
    (count) => count === 3,
  );
  await update({ name: 'a', labels: { site: 'b' } });
  await update({ name: 'a', displayName: 'unseen' });
  await remove('b');
  const told = await eventually(
    () => follower.told,
    ({ length }) => length === 5,
  );
  expect(told).toEqual(['ADDED a', 'SYNCED', 'ADDED b', 'DELETED a', 'DELETED b']);
});

test('a list and a watch that continues from it miss nothing, whatever happens between', async () => {
  await create(relay('a'));
  await create(relay('gone', { outputPort: 6002 }));
  const { resumeToken } = await list();
  await update({ name: 'a', displayName: '1' });
  await update({ name: 'a', displayName: '2' });
  await create(relay('b', { outputPort: 6003 }));
  await create(relay('brief', { outputPort: 6004 }));
  await remove('brief');
  await remove('gone');
  const follower = await watch({ resumeToken });
  const told = await eventually(
    () => follower.told,
    ({ length }) => length === 3,
  );
  expect([...told].sort()).toEqual(['ADDED b', 'DELETED gone', 'MODIFIED a']);
  const a = follower.messages.flatMap(({ events }) => events).find((event) => event.relay?.name === 'relays/a');
  expect(a).toMatchObject({ suppressed: 1, relay: { displayName: '2' } });
});

test('a watch continues from its last message after a restart of the controller', async () => {
  await create(relay('a'));
  const first = await watch({ sendInitial: true });
  await eventually(
    () => first.told.at(-1),
    (last) => last === 'SYNCED',
  );
  const { token } = first;
  await remove('a');
  await create(relay('a', { outputPort: 6009 }));
  await controller.stop();
  await controller.start();
  const second = await watch({ resumeToken: token });
  await eventually(
    () => second.told,
    (told) => told.join() === 'DELETED a,ADDED a',
  );
});

test('a status that changed while nobody watched is told to a watch that continues', async () => {
  await create(relay('a'));
  const { resumeToken } = await list();
  const agent = new TestAgent({ host: 'edge-1', controller: controller.agents });
  open.push({ cancel: () => agent.drop() });
  await eventually(list, ({ relays }) => relays[0]?.status?.readyInstances === 1);
  const follower = await watch({ resumeToken });
  await eventually(
    () => follower.told,
    (told) => told.includes('MODIFIED a'),
  );
  expect(follower.messages[0]?.events[0]?.relay?.status?.readyInstances).toBe(1);
});

test('bad tokens and contradictory requests are refused', async () => {
  const { resumeToken, nextPageToken } = await list();
  expect(nextPageToken).toBe('');
  expect((await watch({ resumeToken: 'x' })).error).toMatchObject({ code: 3, reason: 'RESUME_TOKEN_INVALID' });
  expect((await watch({ resumeToken, sendInitial: true })).error).toMatchObject({ code: 3, reason: 'INVALID_REQUEST' });
});

test('a token from before the kept history is expired', async () => {
  const { resumeToken } = await list();
  const relays = Array.from({ length: 1000 }, (_, i) => {
    const one = relay(`r${i}`);
    defined(one.spec?.input).group = `239.2.${i >> 8}.${i & 255}`;
    return one;
  });
  for (let round = 0; round < 11; round++) {
    const labelled = relays.map((each) => ({ ...each, labels: { round: String(round) } }));
    const request = {
      relays: labelled,
      fieldOwner: '',
      validateOnly: false,
      pruneSelector: {},
      atomic: undefined,
      requestId: '',
    };
    await callUnary(controller.relays, 'applyRelays', request, { timeoutMs: 30_000 });
  }
  expect((await watch({ resumeToken })).error).toMatchObject({ code: 11, reason: 'RESUME_TOKEN_EXPIRED' });
});

test('a reader that is slow gets the last state of each relay, and learns how much was merged', async () => {
  await create(relay('a'));
  const slow = new SlowWatcher(controller.admin, WatchRelaysRequest.fromPartial({ sendInitial: true }));
  open.push(slow);
  const big = 'x'.repeat(200_000);
  for (let i = 0; i < 60; i++) await update({ name: 'a', annotations: { note: `${i} ${big}` } });
  const messages: WatchRelaysResponse[] = [];
  slow.read(messages);
  const events = await eventually(
    () => messages.flatMap((message) => message.events),
    (all) => all.at(-1)?.relay?.annotations.note?.startsWith('59 ') === true,
  );
  expect(events.length).toBeLessThan(10);
  expect(events.reduce((sum, { suppressed }) => sum + suppressed, 0)).toBeGreaterThan(0);
  expect(
    events.filter(({ type }) => type === ChangeType.MODIFIED).reduce((sum, { suppressed }) => sum + suppressed + 1, 0),
  ).toBe(60);
});

test('hosts and instances are watched, with counters if asked for', async () => {
  const hosts = new Follower(controller.fleet.watchHosts({ labelSelector: {}, sendInitial: true }));
  const instances = new Follower(
    controller.relays.watchRelayInstances({
      parent: 'hosts/edge-1',
      sendInitial: true,
      countersInterval: { seconds: 0n, nanos: 100_000_000 },
    }),
  );
  await eventually(
    () => instances.messages.length,
    (count) => count > 0,
  );
  const agent = new TestAgent({ host: 'edge-1', controller: controller.agents });
  open.push({ cancel: () => agent.drop() });
  await agent.welcomed;
  await eventually(
    () => hosts.messages.flatMap(({ events }) => events),
    (events) => events.some(({ host }) => host?.status?.connected),
  );
  const { uid } = await create(relay('a'));
  const seen = () => instances.messages.flatMap(({ events }) => events).map((event) => event.relayInstance);
  await eventually(seen, (all) => all.some((each) => each?.state === 2));
  const counters = {
    rxPackets: 7n,
    rxBytes: 0n,
    outputs: [],
    drops: [],
    lastPacketTime: undefined,
    latency: undefined,
    startTime: undefined,
    warning: '',
  };
  agent.send({
    $case: 'telemetry',
    value: {
      timeUnixNano: 1_800_000_000_000_000_000n,
      relays: [{ uid, counters }],
      inputs: undefined,
      outputs: undefined,
    },
  });
  await eventually(seen, (all) => all.some((each) => each?.counters?.rxPackets === 7n));
  await remove('a');
  await eventually(
    () => instances.messages.flatMap(({ events }) => events),
    (events) => events.at(-1)?.type === ChangeType.DELETED,
  );
});
