import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ServiceError, status } from '@grpc/grpc-js';
import {
  AgentMessage,
  AgentServiceClient,
  type AgentServiceServer,
  AgentServiceService,
  ControllerMessage,
} from '@mcfleet/proto/mcfleet/v1/agent_service';
import {
  ApplyRequest,
  DataplaneServiceClient,
  type DataplaneServiceServer,
  DataplaneServiceService,
  SnapshotRequest,
} from '@mcfleet/proto/mcfleet/v1/dataplane_service';
import {
  FleetServiceClient,
  type FleetServiceServer,
  FleetServiceService,
  WatchHostsRequest,
  WatchHostsResponse,
} from '@mcfleet/proto/mcfleet/v1/fleet_service';
import { afterEach, expect, test } from 'vitest';
import { FleetError } from '../error.ts';
import { createLogger } from '../log.ts';
import { fromServiceError } from '../status-details.ts';
import { callUnary, createClient } from './client.ts';
import { bidiStream, type CallContext, serverStream, unary } from './handlers.ts';
import { GrpcServer, type ServiceRegistration } from './server.ts';

const LOOPBACK = { kind: 'tcp', host: '127.0.0.1', port: 0 } as const;

const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function serve(service: ServiceRegistration) {
  const logged: string[] = [];
  const log = createLogger({ component: 'test', level: 'debug', destination: { write: (line) => logged.push(line) } });
  const server = new GrpcServer({ log, services: [service] });
  cleanups.push(() => server.stop({ graceMs: 0 }));
  return { server, address: await server.listen(LOOPBACK), logged };
}

const notHere = unary(async () => {
  throw new FleetError({ code: status.UNIMPLEMENTED, reason: 'NOT_HERE', message: 'not in this test' });
});

async function serveDataplane(methods: Partial<DataplaneServiceServer>) {
  const implementation = { apply: notHere, snapshot: notHere, status: notHere, ...methods };
  const { address, ...rest } = await serve({ definition: DataplaneServiceService, implementation });
  const client = createClient(DataplaneServiceClient, address);
  cleanups.push(() => client.close());
  return { client, ...rest };
}

async function serveWatch(watchHosts: FleetServiceServer['watchHosts']) {
  const implementation = { ...everyMethod(FleetServiceService, notHere), watchHosts };
  const { address, ...rest } = await serve({ definition: FleetServiceService, implementation });
  const client = createClient(FleetServiceClient, address);
  cleanups.push(() => client.close());
  return { client, ...rest };
}

async function serveSession(connect: AgentServiceServer['connect']) {
  const { address, ...rest } = await serve({ definition: AgentServiceService, implementation: { connect } });
  const client = createClient(AgentServiceClient, address);
  cleanups.push(() => client.close());
  return { client, ...rest };
}

function everyMethod(definition: object, handler: typeof notHere) {
  return Object.fromEntries(Object.keys(definition).map((name) => [name, handler]));
}

test('a unary handler is asked and answers', async () => {
  const { client } = await serveDataplane({
    apply: unary(async (request, context) => {
      expect(context).toMatchObject({ method: '/mcfleet.v1.DataplaneService/Apply', peer: /^127\.0\.0\.1:\d+$/ });
      expect(context.deadline).toBeGreaterThan(Date.now());
      return { results: request.removedUids.map((uid) => ({ uid, error: undefined })), duration: undefined };
    }),
  });
  const response = await callUnary(client, 'apply', ApplyRequest.fromPartial({ removedUids: ['a', 'b'] }), {
    timeoutMs: 30_000,
  });
  expect(response.results.map(({ uid }) => uid)).toEqual(['a', 'b']);
});

test('a FleetError reaches the client with all its details', async () => {
  const violations = [{ field: 'upserts[0].group', description: "'10.0.0.1' is not multicast" }];
  const { client } = await serveDataplane({
    snapshot: unary(async () => {
      throw new FleetError({
        code: status.INVALID_ARGUMENT,
        reason: 'INVALID_SPEC',
        message: 'the group is wrong — nicht gültig',
        metadata: { relay: 'relays/a' },
        violations,
        retryDelayMs: 1500,
      });
    }),
  });
  await expect(
    callUnary(client, 'snapshot', SnapshotRequest.fromPartial({}), { timeoutMs: 30_000 }),
  ).rejects.toMatchObject({
    code: status.INVALID_ARGUMENT,
    reason: 'INVALID_SPEC',
    message: 'the group is wrong — nicht gültig',
    metadata: { relay: 'relays/a' },
    violations,
    retryDelayMs: 1500,
  });
});

test.each([
  ['rejected', async () => Promise.reject(new TypeError('secret internals'))],
  [
    'thrown before the first await',
    () => {
      throw new TypeError('secret internals');
    },
  ],
])('a defect, %s, is INTERNAL for the client and whole in the log', async (_, defect) => {
  const { client, logged } = await serveDataplane({ snapshot: unary(defect) });
  const error = await callUnary(client, 'snapshot', SnapshotRequest.fromPartial({}), { timeoutMs: 30_000 }).catch(
    (e) => e,
  );
  expect(error).toMatchObject({ code: status.INTERNAL, reason: 'INTERNAL' });
  expect(error.message).not.toContain('secret');
  expect(logged.join()).toMatch(/"level":"error".*secret internals.*handlers\.test\.ts/);
});

test('the signal of a unary call aborts when the client cancels and when the deadline passes', async () => {
  const signals: AbortSignal[] = [];
  const { client } = await serveDataplane({
    apply: unary(async () => ({ results: [], duration: undefined })),
    snapshot: unary((_request, { signal }) => {
      signals.push(signal);
      return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    }),
  });
  const request = SnapshotRequest.fromPartial({});
  // The connection is there: what runs out is the time of the call.
  await callUnary(client, 'apply', ApplyRequest.fromPartial({}), { timeoutMs: 30_000 });
  await expect(callUnary(client, 'snapshot', request, { timeoutMs: 500 })).rejects.toMatchObject({
    code: status.DEADLINE_EXCEEDED,
    message: expect.stringMatching(/^no answer came within 0\.[0-9] s$/),
  });
  const controller = new AbortController();
  const cancelled = callUnary(client, 'snapshot', request, { timeoutMs: 30_000, signal: controller.signal });
  await expect.poll(() => signals).toHaveLength(2);
  controller.abort();
  await expect(cancelled).rejects.toMatchObject({ code: status.CANCELLED });
  await expect.poll(() => signals.map(({ aborted }) => aborted)).toEqual([true, true]);
  await expect(
    callUnary(client, 'snapshot', request, { timeoutMs: 30_000, signal: AbortSignal.abort() }),
  ).rejects.toMatchObject({ code: status.CANCELLED });
});

test("a server that is not there is told by the kernel's reason alone", async () => {
  const nowhere = createClient(DataplaneServiceClient, { kind: 'unix', path: '/nonexistent/dataplane.sock' });
  await expect(
    callUnary(nowhere, 'snapshot', SnapshotRequest.fromPartial({}), { timeoutMs: 30_000 }),
  ).rejects.toMatchObject({
    code: status.UNAVAILABLE,
    message: 'cannot connect: connect ENOENT /nonexistent/dataplane.sock',
  });
  nowhere.close();
});

const hostEvents = (name: string) => WatchHostsResponse.fromPartial({ events: [{ host: { name } }] });
const bigEvent = hostEvents('x'.repeat(100_000));

test('a stream is held to the pace of its reader', async () => {
  let written = 0;
  const { client } = await serveWatch(
    serverStream(async (_request, _context, responses) => {
      for (; written < 1000; written++) await responses.write(bigEvent);
    }),
  );
  const call = client.watchHosts(WatchHostsRequest.fromPartial({}));
  let received = 0;
  call.on('data', () => received++);
  // A client of grpc-js that has not read at all yet takes in everything; one that has read once pushes back.
  call.once('data', () => call.pause());
  await expect.poll(() => received).toBeGreaterThan(0);
  await sleep(300);
  // 1000 messages are 100 MB; the windows and buffers of both ends hold a small part of it.
  expect(written).toBeLessThan(100);
  call.resume();
  await once(call, 'end');
  expect(received).toBe(1000);
});

test('a write that waits fails when the client goes, and the handler ends', async () => {
  let failure: unknown;
  const { client, server } = await serveWatch(
    serverStream(async (_request, _context, responses) => {
      try {
        for (;;) await responses.write(bigEvent);
      } catch (thrown) {
        failure = thrown;
        throw thrown;
      }
    }),
  );
  const call = client.watchHosts(WatchHostsRequest.fromPartial({}));
  call.on('error', () => undefined);
  call.once('data', () => call.pause());
  await sleep(300);
  expect(failure).toBeUndefined();
  call.cancel();
  await expect.poll(() => failure).toMatchObject({ code: status.CANCELLED });
  await server.stop({ graceMs: 30_000 });
});

test('an error after messages ends a stream with its status', async () => {
  const { client } = await serveWatch(
    serverStream(async (_request, _context, responses) => {
      await responses.write(hostEvents('hosts/a'));
      throw new FleetError({ code: status.OUT_OF_RANGE, reason: 'RESUME_TOKEN_EXPIRED', message: 'too old' });
    }),
  );
  const call = client.watchHosts(WatchHostsRequest.fromPartial({}));
  const hosts: (string | undefined)[] = [];
  call.on('data', ({ events }: WatchHostsResponse) => hosts.push(events[0]?.host?.name));
  const [error] = (await once(call, 'error')) as [ServiceError];
  expect(hosts).toEqual(['hosts/a']);
  expect(fromServiceError(error)).toMatchObject({ code: status.OUT_OF_RANGE, reason: 'RESUME_TOKEN_EXPIRED' });
});

test('both directions of a session carry messages until the client has no more', async () => {
  const { client } = await serveSession(
    bidiStream(async (_context, stream) => {
      for await (const { seq } of stream.requests) await stream.write(ControllerMessage.fromPartial({ ackSeq: seq }));
    }),
  );
  const call = client.connect();
  const acks: bigint[] = [];
  call.on('data', ({ ackSeq }: ControllerMessage) => acks.push(ackSeq));
  for (let seq = 1; seq <= 5000; seq++) call.write(AgentMessage.fromPartial({ seq }));
  call.end();
  const [final] = await once(call, 'status');
  expect(final.code).toBe(status.OK);
  expect(acks).toEqual(Array.from({ length: 5000 }, (_, i) => BigInt(i + 1)));
});

test('a session that its handler leaves in the middle ends with the status it chose', async () => {
  const { client } = await serveSession(
    bidiStream(async (_context, stream) => {
      for await (const { seq } of stream.requests) {
        if (seq === 3n)
          throw new FleetError({ code: status.ABORTED, reason: 'SESSION_REPLACED', message: 'newer one' });
      }
    }),
  );
  const call = client.connect();
  for (let seq = 1; seq <= 5; seq++) call.write(AgentMessage.fromPartial({ seq }));
  const [error] = (await once(call, 'error')) as [ServiceError];
  expect(fromServiceError(error)).toMatchObject({ code: status.ABORTED, reason: 'SESSION_REPLACED' });
});

test('a waiting session learns that the client is gone', async () => {
  let context: CallContext | undefined;
  let left = false;
  const { client } = await serveSession(
    bidiStream(async (callContext, stream) => {
      context = callContext;
      try {
        for await (const _ of stream.requests);
      } finally {
        left = true;
      }
    }),
  );
  const call = client.connect();
  call.on('error', () => undefined);
  await expect.poll(() => context).toBeDefined();
  expect(left).toBe(false);
  call.cancel();
  await expect.poll(() => [left, context?.signal.aborted]).toEqual([true, true]);
});

test('stop ends streams with UNAVAILABLE and lets a unary call finish', async () => {
  const came = Promise.withResolvers<void>();
  const { client: session, server } = await serveSession(
    bidiStream(async (_context, stream) => {
      for await (const _ of stream.requests) came.resolve();
    }),
  );
  const asked = Promise.withResolvers<void>();
  const { client, server: unaryServer } = await serveDataplane({
    apply: unary(async () => {
      asked.resolve();
      await sleep(300);
      return { results: [], duration: undefined };
    }),
  });
  const call = session.connect();
  call.write(AgentMessage.fromPartial({ seq: 1 }));
  await came.promise;
  const ended = once(call, 'error') as Promise<[ServiceError]>;
  await server.stop({ graceMs: 30_000 });
  const [error] = await ended;
  expect(fromServiceError(error)).toMatchObject({ code: status.UNAVAILABLE, reason: 'SHUTTING_DOWN' });

  const answered = callUnary(client, 'apply', ApplyRequest.fromPartial({}), { timeoutMs: 30_000 });
  await asked.promise;
  await unaryServer.stop({ graceMs: 30_000 });
  await expect(answered).resolves.toMatchObject({ results: [] });
});

test('stop cuts what does not end within the grace', async () => {
  const asked = Promise.withResolvers<void>();
  const { client, server } = await serveDataplane({
    apply: unary(() => {
      asked.resolve();
      return new Promise(() => undefined);
    }),
  });
  const failing = callUnary(client, 'apply', ApplyRequest.fromPartial({}), { timeoutMs: 50_000 }).catch(
    (error) => error,
  );
  await asked.promise;
  const start = performance.now();
  await server.stop({ graceMs: 200 });
  // Long before the call would have ended by itself.
  expect(performance.now() - start).toBeLessThan(25_000);
  expect(await failing).toBeInstanceOf(FleetError);
});
