import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { promisify } from 'node:util';
import { Server as GrpcServer, ServerCredentials } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runMcfleet } from '../fleet/run-mcfleet.ts';

const document = `apiVersion: mcfleet/v1
kind: Relay
metadata: {name: camera-7}
spec:
  hosts: {names: [edge-1]}
  input: {interface: eth0, group: 239.1.1.1, port: "5001"}
  outputs: [{interface: eth1}]
`;

async function listening(server: Server): Promise<{ address: string } & AsyncDisposable> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { address, [Symbol.asyncDispose]: async () => void server.close() };
}

/** Much longer than users wait, in milliseconds: how long the command itself waits is in its words. A call without a bound never ends. */
const patienceMs = 20_000;

describe('mcfleet without a controller', () => {
  let silent: Server;
  let silentAddress: string;
  beforeAll(async () => {
    // Accepts connections and never says anything.
    silent = createServer();
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    silentAddress = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    silent.close();
  });

  it('says which address it cannot reach, and what to check', async () => {
    const began = performance.now();
    const result = await runMcfleet(['get', 'relays'], { env: { MCFLEET_SERVER: '127.0.0.1:9' } });
    expect(result).toEqual({
      code: 78,
      stdout: '',
      stderr:
        'error: cannot reach the controller at 127.0.0.1:9: connection refused. Check that it runs (mcfleet controller) and that the address is right (--server or MCFLEET_SERVER)\n',
    });
    expect(performance.now() - began).toBeLessThan(patienceMs);
  });

  it.concurrent.each([
    ['get', 'relays'],
    ['get', 'hosts', '-w'],
    ['wait', 'relay', 'camera-7', '--for=ready'],
  ])('%s %s gives up after a few seconds where somebody listens who never answers', async (...args) => {
    const began = performance.now();
    const result = await runMcfleet([...args, '--server', silentAddress]);
    expect(result).toMatchObject({
      code: 78,
      stdout: '',
      stderr: expect.stringContaining(`cannot reach the controller at ${silentAddress}: no answer within 4 s`),
    });
    expect(performance.now() - began).toBeLessThan(patienceMs);
  });

  it('says that a web server is no controller', async () => {
    await using server = await listening(createHttpServer((_request, response) => response.end('hello')));
    const result = await runMcfleet(['get', 'relays', '--server', server.address]);
    expect(result).toMatchObject({
      code: 78,
      stderr: expect.stringContaining(
        `${server.address}: something else answers there (it does not speak gRPC). Check`,
      ),
    });
  });

  it('says that a listener without the admin API is the wrong one', async () => {
    const other = new GrpcServer();
    const port = await promisify(other.bindAsync.bind(other))('127.0.0.1:0', ServerCredentials.createInsecure());
    try {
      const result = await runMcfleet(['get', 'relays', '--server', `127.0.0.1:${port}`]);
      expect(result).toMatchObject({ code: 76, stderr: expect.stringContaining('--admin-listen address') });
    } finally {
      other.forceShutdown();
    }
  });

  it('keeps to --timeout', async () => {
    const began = performance.now();
    const result = await runMcfleet(['get', 'relays', '--server', silentAddress, '--timeout', '500ms']);
    expect(result).toMatchObject({ code: 78, stderr: expect.stringContaining('no answer within 0.5 s') });
    expect(performance.now() - began).toBeLessThan(patienceMs);
  });

  it('still checks documents', async () => {
    const result = await runMcfleet(['apply', '-f', '-', '--server', '127.0.0.1:9'], { input: document });
    expect(result).toEqual({
      code: 1,
      stdout: '',
      stderr:
        '<stdin>:6:52: spec.input.port: must be a number, not text: write 5001 without quotes\nerror: 1 violation; nothing was changed\n',
    });
  });
});
