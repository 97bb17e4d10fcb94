import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import {
  type HealthCheckResponse,
  HealthClient,
  HealthCheckResponse_ServingStatus as Serving,
} from '@mcfleet/proto/grpc/health/v1/health';
import {
  ApplyRequest,
  DataplaneServiceClient,
  DataplaneServiceService,
} from '@mcfleet/proto/mcfleet/v1/dataplane_service';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createLogger } from '../log.ts';
import { callUnary, createClient } from './client.ts';
import { unary } from './handlers.ts';
import { GrpcServer } from './server.ts';

const log = createLogger({ component: 'test', level: 'silent' });
const implementation = {
  apply: unary(async () => ({ results: [], duration: undefined })),
  snapshot: unary(async () => ({ relays: [], inputs: [], time: undefined })),
  status: unary(async () => Promise.reject(new Error('not in this test'))),
};

function createServer(maxMessageBytes?: number): GrpcServer {
  const services = [{ definition: DataplaneServiceService, implementation }];
  const server = new GrpcServer({ log, services, ...(maxMessageBytes === undefined ? {} : { maxMessageBytes }) });
  cleanups.push(() => server.stop({ graceMs: 0 }));
  return server;
}

const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mcfleet-server-'));
});
afterAll(() => rm(directory, { recursive: true }));

test('health tells of the server, its services and parts, and watchers see changes', async () => {
  const server = createServer();
  const address = await server.listen({ kind: 'tcp', host: '127.0.0.1', port: 0 });
  const client = createClient(HealthClient, address);
  cleanups.push(() => client.close());
  const check = (service: string) => callUnary(client, 'check', { service }, { timeoutMs: 30_000 });
  expect(await check('')).toEqual({ status: Serving.SERVING });
  expect(await check('mcfleet.v1.DataplaneService')).toEqual({ status: Serving.SERVING });
  await expect(check('mcfleet.v1.Nope')).rejects.toMatchObject({ code: status.NOT_FOUND });

  const seen: number[] = [];
  const watch = client.watch({ service: 'mcfleet.store' });
  watch.on('data', (response: HealthCheckResponse) => seen.push(response.status));
  await once(watch, 'data');
  server.setStatus('mcfleet.store', false);
  await once(watch, 'data');
  server.setStatus('mcfleet.store', true);
  await once(watch, 'data');
  expect(seen).toEqual([Serving.SERVICE_UNKNOWN, Serving.NOT_SERVING, Serving.SERVING]);
  const { statuses } = await callUnary(client, 'list', {}, { timeoutMs: 30_000 });
  expect(Object.keys(statuses).sort()).toEqual(['', 'mcfleet.store', 'mcfleet.v1.DataplaneService']);

  const ended = once(watch, 'error');
  await server.stop({ graceMs: 30_000 });
  await ended;
  expect(seen.at(-1)).toBe(Serving.NOT_SERVING);
});

test('a message above the limit is refused, one below is not', async () => {
  const server = createServer(1024 * 1024);
  const address = await server.listen({ kind: 'tcp', host: '127.0.0.1', port: 0 });
  const client = createClient(DataplaneServiceClient, address, { maxMessageBytes: 64 * 1024 * 1024 });
  cleanups.push(() => client.close());
  const apply = (bytes: number) =>
    callUnary(client, 'apply', ApplyRequest.fromPartial({ removedUids: ['x'.repeat(bytes)] }), { timeoutMs: 30_000 });
  await expect(apply(1_000_000)).resolves.toBeDefined();
  await expect(apply(1_100_000)).rejects.toMatchObject({ code: status.RESOURCE_EXHAUSTED });
});

test('a port that is taken is told', async () => {
  const first = await createServer().listen({ kind: 'tcp', host: '127.0.0.1', port: 0 });
  await expect(createServer().listen(first)).rejects.toMatchObject({ reason: 'ADDRESS_IN_USE' });
});

test('a unix socket is for its owner only, in a directory that is made, and gone after the stop', async () => {
  const path = join(directory, 'made/by us/a.sock');
  const server = createServer();
  const address = await server.listen({ kind: 'unix', path });
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect((await stat(join(directory, 'made'))).mode & 0o777).toBe(0o700);
  const client = createClient(DataplaneServiceClient, address);
  cleanups.push(() => client.close());
  await callUnary(client, 'apply', ApplyRequest.fromPartial({}), { timeoutMs: 30_000 });
  await server.stop({ graceMs: 1000 });
  await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' });
});

test("an address that cannot be had is told by the kernel's reason alone", async () => {
  await expect(createServer().listen({ kind: 'tcp', host: '192.0.2.1', port: 7499 })).rejects.toMatchObject({
    reason: 'CANNOT_LISTEN',
    message: 'cannot listen on 192.0.2.1:7499: EADDRNOTAVAIL: address not available 192.0.2.1:7499',
  });
});

test('a socket of a live process is left alone', async () => {
  const path = join(directory, 'live.sock');
  const address = await createServer().listen({ kind: 'unix', path });
  await expect(createServer().listen({ kind: 'unix', path })).rejects.toMatchObject({
    code: status.FAILED_PRECONDITION,
    reason: 'ADDRESS_IN_USE',
    message: expect.stringContaining(path),
  });
  const client = createClient(DataplaneServiceClient, address);
  cleanups.push(() => client.close());
  await callUnary(client, 'apply', ApplyRequest.fromPartial({}), { timeoutMs: 30_000 });
});

test('a socket that a killed process left is replaced', async () => {
  const path = join(directory, 'stale.sock');
  const script = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => console.log('listens'))`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect((await stat(path)).isSocket()).toBe(true);
  const address = await createServer().listen({ kind: 'unix', path });
  const client = createClient(DataplaneServiceClient, address);
  cleanups.push(() => client.close());
  await callUnary(client, 'apply', ApplyRequest.fromPartial({}), { timeoutMs: 30_000 });
});

test('of many that start at once on a stale socket, exactly one serves', async () => {
  const path = join(directory, 'race.sock');
  const script = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  await once(spawn(process.execPath, ['-e', script], { stdio: 'ignore' }), 'exit');
  expect((await stat(path)).isSocket()).toBe(true);
  const results = await Promise.allSettled(
    Array.from({ length: 8 }, () => createServer().listen({ kind: 'unix', path })),
  );
  expect(results.filter(({ status: outcome }) => outcome === 'fulfilled')).toHaveLength(1);
  const client = createClient(DataplaneServiceClient, { kind: 'unix', path });
  cleanups.push(() => client.close());
  await callUnary(client, 'apply', ApplyRequest.fromPartial({}), { timeoutMs: 30_000 });
});

test('a directory that cannot be made is told with what to do', async () => {
  const file = join(directory, 'file');
  await writeFile(file, '');
  const path = join(file, 'dp.sock');
  await expect(createServer().listen({ kind: 'unix', path })).rejects.toMatchObject({
    reason: 'NO_DIRECTORY',
    message: expect.stringMatching(
      /^cannot make the directory of the socket .*dp\.sock: EEXIST.*; choose another path$/,
    ),
  });
});

test('a file that is not a socket is never removed', async () => {
  const path = join(directory, 'precious');
  await writeFile(path, 'data');
  await expect(createServer().listen({ kind: 'unix', path })).rejects.toMatchObject({ reason: 'PATH_OCCUPIED' });
  expect((await stat(path)).size).toBe(4);
});
