import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { mcfleet } from '../fleet/fleet.ts';
import { LocalController } from '../fleet/local-controller.ts';
import { describeWithGrpcurl, type GrpcurlResult, grpcurl, lacksGrpcurl, startGrpcurl } from './grpcurl.ts';

const relays = 'mcfleet.v1.RelayService';
/** The spec of a relay to a port of its own: two with the same outputs would be a conflict. */
const specTo = (port: number) => ({
  hosts: { names: ['edge-1'] },
  engine: 'RELAY_ENGINE_AUTO',
  input: { interface: 'eth0', group: '239.1.1.1', port: 5001 },
  outputs: [{ interface: 'eth1', address: '239.10.10.10', port }],
});

describeWithGrpcurl('grpcurl on the admin listener', () => {
  let controller: LocalController;
  beforeAll(async () => {
    controller = await LocalController.start();
    if (lacksGrpcurl()) return;
    const host = { host: { name: 'hosts/edge-1' }, allow_missing: true };
    const registered = await call('mcfleet.v1.FleetService/UpdateHost', host);
    expect(registered).toMatchObject({ code: 0, stderr: '' });
  });
  afterAll(() => controller[Symbol.asyncDispose]());

  function call(method: string, request: object, ...flags: string[]): Promise<GrpcurlResult> {
    return grpcurl([...flags, '-d', JSON.stringify(request), controller.admin, method]);
  }

  function mcfleetJson(...args: string[]): string {
    const run = spawnSync(mcfleet, ['--server', controller.admin, ...args, '-o', 'json'], { encoding: 'utf8' });
    expect(run).toMatchObject({ status: 0, stderr: '' });
    return run.stdout;
  }

  it('is told that it serves', async () => {
    const { stdout } = await grpcurl([controller.admin, 'grpc.health.v1.Health/Check']);
    expect(JSON.parse(stdout)).toEqual({ status: 'SERVING' });
  });

  it('validates a create without storing anything', async () => {
    const created = await call(`${relays}/CreateRelay`, {
      relay_id: 'mdns',
      relay: { spec: specTo(6001) },
      validate_only: true,
    });
    expect(created).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(created.stdout)).toMatchObject({ name: 'relays/mdns', generation: '1', spec: specTo(6001) });
    const read = await grpcurl([
      '-format-error',
      '-d',
      '{"name":"relays/mdns"}',
      controller.admin,
      `${relays}/GetRelay`,
    ]);
    expect(read.code).toBe(69);
  });

  it('exits with 64 + NOT_FOUND, and prints the details', async () => {
    const read = await grpcurl([
      '-format-error',
      '-d',
      '{"name":"relays/nope"}',
      controller.admin,
      `${relays}/GetRelay`,
    ]);
    expect(read.code).toBe(69);
    expect(JSON.parse(read.stderr)).toMatchObject({
      code: 5,
      details: [{ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: 'RELAY_NOT_FOUND', domain: 'mcfleet' }],
    });
  });

  it('exits with 64 + INVALID_ARGUMENT, and prints every violation', async () => {
    const bad = { ...specTo(6001), input: { interface: 'eth0', group: '239.1.1.1', port: 70_000 }, outputs: [] };
    const created = await call(`${relays}/CreateRelay`, { relay_id: 'bad', relay: { spec: bad } }, '-format-error');
    expect(created.code).toBe(67);
    const { details } = JSON.parse(created.stderr) as { details: { fieldViolations?: { field: string }[] }[] };
    const fields = details.flatMap(({ fieldViolations = [] }) => fieldViolations.map(({ field }) => field));
    expect(fields).toEqual(expect.arrayContaining(['relay.spec.input.port', 'relay.spec.outputs']));
  });

  it('exits with 64 + ABORTED for a stale etag, with the present one in the details', async () => {
    const created = await call(`${relays}/CreateRelay`, { relay_id: 'etag', relay: { spec: specTo(6002) } });
    const { etag } = JSON.parse(created.stdout) as { etag: string };
    const update = {
      relay: { name: 'relays/etag', etag, spec: { engine: 'RELAY_ENGINE_USERSPACE' } },
      // ProtoJSON writes a FieldMask as one string, which grpcurl 1.9 does not take.
      updateMask: { paths: ['spec.engine'] },
    };
    const first = await grpcurl(['-d', '@', controller.admin, `${relays}/UpdateRelay`], JSON.stringify(update));
    expect(first).toMatchObject({ code: 0, stderr: '' });
    const newer = JSON.parse(first.stdout) as { etag: string; generation: string };
    expect(newer.generation).toBe('2');
    const stale = await grpcurl(
      ['-format-error', '-d', '@', controller.admin, `${relays}/UpdateRelay`],
      JSON.stringify(update),
    );
    expect(stale.code).toBe(74);
    expect(JSON.parse(stale.stderr)).toMatchObject({
      code: 10,
      details: [{ reason: 'ETAG_MISMATCH', metadata: { current_etag: newer.etag, given_etag: etag } }],
    });
  });

  it('watches: what is there, then the change, until its time is up', async () => {
    const created = await call(`${relays}/CreateRelay`, { relay_id: 'watched', relay: { spec: specTo(6003) } });
    expect(created).toMatchObject({ code: 0, stderr: '' });
    const args = ['-max-time', '5', '-d', '{"sendInitial":true}', controller.admin, `${relays}/WatchRelays`];
    const watching = startGrpcurl(args);
    let told = '';
    watching.stdin?.on('error', () => undefined).end();
    watching.stdout?.setEncoding('utf8').on('data', (text: string) => {
      told += text;
    });
    const ended = new Promise((resolve) => watching.on('close', resolve));
    while (!told.includes('CHANGE_TYPE_SYNCED') && watching.exitCode === null) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(told).toContain('"name": "relays/watched"');
    const change = { relay: { name: 'relays/watched', labels: { seen: 'yes' } }, updateMask: { paths: ['labels'] } };
    expect(await call(`${relays}/UpdateRelay`, change)).toMatchObject({ code: 0 });
    // 64 + DEADLINE_EXCEEDED
    expect(await ended).toBe(68);
    const after = told.slice(told.indexOf('CHANGE_TYPE_SYNCED'));
    expect(after).toContain('CHANGE_TYPE_MODIFIED');
    expect(after).toContain('"seen": "yes"');
  });

  it('prints what the command prints with -o json', async () => {
    await call(`${relays}/CreateRelay`, {
      relay_id: 'same',
      relay: { spec: specTo(6004), labels: { b: '2', a: '1' }, annotations: { text: 'é "quoted" \\ <b>&</b>' } },
    });
    const read = await call(`${relays}/GetRelay`, { name: 'relays/same' });
    expect(mcfleetJson('get', 'relay', 'same')).toBe(read.stdout);
    const instances = await call(`${relays}/ListRelayInstances`, { parent: 'relays/same' });
    expect(mcfleetJson('get', 'instances', 'same')).toBe(instances.stdout);
    const hosts = await call('mcfleet.v1.FleetService/ListHosts', {});
    expect(mcfleetJson('get', 'hosts')).toBe(hosts.stdout);
    const list = await call(`${relays}/ListRelays`, {});
    // The resume token of each list is its own.
    const withoutToken = (text: string): unknown => ({ ...JSON.parse(text), resumeToken: '' });
    expect(withoutToken(mcfleetJson('get', 'relays'))).toEqual(withoutToken(list.stdout));
  });
});
