import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { toMilliseconds } from '@mcfleet/common/duration';
import { callUnary, createClient } from '@mcfleet/common/grpc/client';
import { fromRpcStatus } from '@mcfleet/common/status-details';
import {
  type ApplyRequest,
  type ApplyResponse,
  DataplaneServiceClient,
  type ProgrammedOutput,
  ProgrammedRelay,
  type SnapshotResponse,
} from '@mcfleet/proto/mcfleet/v1/dataplane_service';
import { expect, test } from 'vitest';
import { sendDatagrams } from '../lab/datagrams.ts';
import { Lab } from '../lab/lab.ts';
import type { LabProcess } from '../lab/process.ts';
import { chain } from '../lab/topologies.ts';
import { describeWithLab } from '../lab/when-possible.ts';

const LAUNCHER = join(import.meta.dirname, '../../services/cli/bin/mcfleet');
/** Where sendDatagrams sends to and receives. */
const PORT = 9000;

type RelayFields = Partial<Omit<ProgrammedRelay, 'outputs'>> & { readonly outputs?: Partial<ProgrammedOutput>[] };

/** The relay of a chain with a data plane in it. */
class Relay implements AsyncDisposable {
  readonly lab: Lab;
  readonly socket: string;
  readonly client: DataplaneServiceClient;
  readonly input: number;
  readonly output: number;
  program: LabProcess;

  private constructor(lab: Lab, input: number, output: number) {
    this.lab = lab;
    this.input = input;
    this.output = output;
    this.socket = join(lab.directory, 'run/dataplane.sock');
    this.client = createClient(
      DataplaneServiceClient,
      { kind: 'unix', path: this.socket },
      { maxMessageBytes: 2 ** 26 },
    );
    this.program = this.start();
  }

  static async create(): Promise<Relay> {
    const lab = await Lab.create(chain());
    const { stdout } = await lab.run('relay', ['ip', '-o', 'link']);
    const index = (name: string): number => Number(new RegExp(`^(\\d+): ${name}@`, 'm').exec(stdout)?.[1]);
    const relay = new Relay(lab, index('veth1'), index('veth3'));
    await relay.program.waitForOutput(/"serves"/);
    return relay;
  }

  start(...args: string[]): LabProcess {
    return this.lab.start('relay', [LAUNCHER, 'dataplane', '--socket', this.socket, ...args]);
  }

  /** From 239.1.1.1 to the sink's own address, unless `fields` says otherwise. */
  relay(uid: string, fields: RelayFields = {}): ProgrammedRelay {
    const outputs = [{ key: 'sink', ifindex: this.output, address: '10.0.1.2', source: '10.0.1.1' }];
    const defaults = { uid, name: `relays/${uid}`, generation: 1n, digest: Buffer.from(uid), inputIfindex: this.input };
    return ProgrammedRelay.fromPartial({ ...defaults, group: '239.1.1.1', port: PORT, outputs, ...fields });
  }

  apply(change: Partial<ApplyRequest>): Promise<ApplyResponse> {
    const request = { replaceAll: false, upserts: [], removedUids: [], ...change };
    return callUnary(this.client, 'apply', request, { timeoutMs: 60_000 });
  }

  snapshot(...uids: string[]): Promise<SnapshotResponse> {
    return callUnary(this.client, 'snapshot', { uids, since: '' }, { timeoutMs: 60_000 });
  }

  /** How many of 50 datagrams to a group reach the sink. */
  deliver(group = '239.1.1.1'): Promise<number> {
    return sendDatagrams(this.lab, { from: 'gen', to: 'sink', address: group, count: 50, bytes: 1000 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client.close();
    await this.lab[Symbol.asyncDispose]();
  }
}

function reasons({ results }: ApplyResponse): (string | undefined)[] {
  return results.map(({ error }) => error && fromRpcStatus(error).reason);
}

describeWithLab('data plane', () => {
  test('packets reach the receiver while a relay is programmed, and the counters agree with what arrived', async () => {
    await using relay = await Relay.create();
    expect(await relay.deliver()).toBe(0);

    const began = Date.now();
    const applied = await relay.apply({ upserts: [relay.relay('a', { generation: 7n })] });
    expect(reasons(applied)).toEqual([undefined]);
    const tookMs = applied.duration && toMilliseconds(applied.duration);
    expect(tookMs).toBeGreaterThan(0);
    expect(tookMs).toBeLessThanOrEqual(Date.now() - began + 1);
    expect(await relay.deliver()).toBe(50);

    const { relays, inputs, time } = await relay.snapshot();
    const ended = Date.now();
    expect(relays).toMatchObject([{ uid: 'a', generation: 7n, digest: Buffer.from('a') }]);
    expect(relays[0]?.counters).toMatchObject({ rxPackets: 50n, rxBytes: 50n * 1028n });
    expect(relays[0]?.counters?.outputs).toMatchObject([{ output: 'sink', txPackets: 50n, up: true, downReason: '' }]);
    expect(Number(relays[0]?.counters?.lastPacketTime)).toBeGreaterThanOrEqual(began);
    expect(Number(relays[0]?.counters?.lastPacketTime)).toBeLessThanOrEqual(ended + 1);
    expect(relays[0]?.counters?.latency?.counts.reduce((sum, count) => sum + count, 0n)).toBeGreaterThan(0n);
    expect(inputs).toMatchObject([{ ifindex: relay.input, kernelDrops: 0n, up: true }]);
    expect(Number(time)).toBeGreaterThanOrEqual(began);
    expect(Number(time)).toBeLessThanOrEqual(ended + 1);

    const now = await callUnary(relay.client, 'status', {}, { timeoutMs: 60_000 });
    expect(now).toMatchObject({ version: expect.stringMatching(/^\d+\.\d+\.\d+$/), pid: relay.program.pid, relays: 1 });
    expect(now.inputs).toMatchObject([{ ifindex: relay.input, memberships: 1 }]);
    expect(now.capabilities).toEqual(expect.arrayContaining(['engine.userspace.v4', 'engine.userspace.v6']));

    await relay.apply({ removedUids: ['a', 'never there'] });
    expect((await relay.snapshot()).relays).toEqual([]);
    expect(await relay.deliver()).toBe(0);
  });

  test('a relay that is refused is refused alone', async () => {
    await using relay = await Relay.create();
    const upserts = [
      relay.relay('bad-group', { group: '239.1.1' }),
      relay.relay('twice'),
      relay.relay('good'),
      relay.relay('no-interface', { inputIfindex: 9999 }),
      relay.relay('twice'),
      relay.relay('families', { group: 'ff3e::1' }),
      relay.relay('both'),
    ];
    const applied = await relay.apply({ upserts, removedUids: ['both'] });
    expect(applied.results.map(({ uid }) => uid)).toEqual(upserts.map(({ uid }) => uid));
    expect(reasons(applied)).toEqual([
      'INVALID_RELAY_PROGRAM',
      'CONTRADICTORY_CHANGE',
      undefined,
      'InterfaceNotFound',
      'CONTRADICTORY_CHANGE',
      'INVALID_RELAY_PROGRAM',
      'CONTRADICTORY_CHANGE',
    ]);
    expect(applied.results[0]?.error).toMatchObject({ code: status.INVALID_ARGUMENT });
    expect(applied.results[3]?.error).toMatchObject({ code: status.FAILED_PRECONDITION });
    expect(applied.results[5]?.error).toMatchObject({
      code: status.INVALID_ARGUMENT,
      message: expect.stringContaining('but the group is IPv6'),
    });
    expect((await relay.snapshot()).relays.map(({ uid }) => uid)).toEqual(['good']);
    expect(await relay.deliver()).toBe(50);
  });

  test('a refused update, also one among all that there shall be, leaves the old program in force', async () => {
    await using relay = await Relay.create();
    await relay.apply({ upserts: [relay.relay('a'), relay.relay('b', { group: '239.1.1.2' })] });

    const outputs = [{ key: 'sink', ifindex: 9999, address: '10.0.1.2' }];
    expect(reasons(await relay.apply({ upserts: [relay.relay('a', { generation: 2n, port: 70_000 })] }))).toEqual([
      'INVALID_RELAY_PROGRAM',
    ]);
    const all = [relay.relay('a', { generation: 3n, group: 'x' }), relay.relay('c', { group: '239.1.1.3', outputs })];
    // An output whose interface is missing is down; it does not make the relay a refused one.
    expect(reasons(await relay.apply({ replaceAll: true, upserts: all }))).toEqual([
      'INVALID_RELAY_PROGRAM',
      undefined,
    ]);
    const { relays } = await relay.snapshot();
    expect(relays).toMatchObject([
      { uid: 'a', generation: 1n, counters: { outputs: [{ up: true }] } },
      { uid: 'c', generation: 1n, counters: { outputs: [{ up: false, downReason: 'InterfaceNotFound' }] } },
    ]);
    expect(await relay.deliver('239.1.1.1')).toBe(50);
    expect(await relay.deliver('239.1.1.2')).toBe(0);
  });

  test('a reader is told what has changed since its last reading, and has what all relays would tell', async () => {
    await using relay = await Relay.create();
    const since = async (mark: string): Promise<SnapshotResponse> =>
      callUnary(relay.client, 'snapshot', { uids: [], since: mark }, { timeoutMs: 60_000 });
    const uids = ({ relays }: SnapshotResponse): string[] => relays.map(({ uid }) => uid);
    // Not by way of the sink's own address, which is resolved meanwhile: how outputs send there changes with it.
    const outputs = [{ key: 'group', ifindex: relay.output, address: '239.9.9.9' }];
    await relay.apply({ upserts: [relay.relay('a'), relay.relay('b', { group: '239.1.1.2', outputs })] });
    const first = await since('');
    expect([uids(first), first.partial]).toEqual([['a', 'b'], false]);
    expect(await since(first.mark)).toMatchObject({ relays: [], partial: true, inputs: [{ ifindex: relay.input }] });
    expect(await relay.deliver()).toBe(50);
    const counted = await since(first.mark);
    expect(counted).toMatchObject({ relays: [{ uid: 'a', counters: { rxPackets: 50n } }], partial: true });
    // Only what the agent keeps of it changes; the answer before is taken for lost.
    await relay.apply({ upserts: [relay.relay('b', { group: '239.1.1.2', outputs, generation: 2n })] });
    expect(uids(await since(first.mark))).toEqual(['a', 'b']);
    expect((await since(counted.mark)).relays).toMatchObject([{ uid: 'b', generation: 2n }]);
    await relay.apply({ removedUids: ['b'] });
    const without = await since(counted.mark);
    expect([uids(without), without.partial]).toEqual([['a'], false]);
    relay.program.kill();
    await relay.program.exited;
    relay.program = relay.start();
    await relay.program.waitForOutput(/"serves"/);
    expect(await since(without.mark)).toMatchObject({ relays: [], partial: false });
  });

  test('ten thousand relays are programmed by one call', async () => {
    await using relay = await Relay.create();
    const upserts = Array.from({ length: 10_000 }, (_, i) =>
      relay.relay(`r-${i}`, { group: `239.2.${i >> 8}.${i & 255}` }),
    );
    const applied = await relay.apply({ replaceAll: true, upserts });
    expect(reasons(applied).filter((reason) => reason !== undefined)).toEqual([]);
    const { relays } = await relay.snapshot();
    expect(relays.length).toBe(10_000);
    expect(relays.map(({ uid }) => uid).toSorted()).toEqual(relays.map(({ uid }) => uid));
    expect((await relay.snapshot('r-7', 'nope')).relays.map(({ uid }) => uid)).toEqual(['r-7']);
    expect(await relay.deliver('239.2.39.15')).toBe(50);
  });

  test('calls that overlap are carried out in their order', async () => {
    await using relay = await Relay.create();
    const changes = Array.from({ length: 50 }, (_, i) =>
      relay.apply({ replaceAll: true, upserts: [relay.relay('a', { generation: BigInt(i + 1) })] }),
    );
    await Promise.all(changes);
    expect((await relay.snapshot()).relays).toMatchObject([{ uid: 'a', generation: 50n }]);
    expect(await relay.deliver()).toBe(50);
  });

  test('a second one on the same socket ends with one clear error, and the first goes on', async () => {
    await using relay = await Relay.create();
    await relay.apply({ upserts: [relay.relay('a')] });
    const second = await relay.start().exited;
    expect(second.code).toBe(1);
    expect(second.stderr).toBe(
      `mcfleet dataplane: the socket ${relay.socket} belongs to another live process; stop that one or choose another path\n`,
    );
    expect(await relay.deliver()).toBe(50);
  });

  test('one that was killed is back, on the socket that it left', async () => {
    await using relay = await Relay.create();
    await relay.program.kill();
    expect(statSync(relay.socket).isSocket()).toBe(true);
    relay.program = relay.start();
    await relay.program.waitForOutput(/"serves"/);
    await relay.apply({ upserts: [relay.relay('a')] });
    expect(await relay.deliver()).toBe(50);
  });

  test('what it has compiled is kept for the next one before it ends, because it may be killed', async () => {
    await using relay = await Relay.create();
    const cache = join(relay.lab.directory, 'compiled');
    const argv = [LAUNCHER, 'dataplane', '--socket', join(relay.lab.directory, 'other.sock')];
    const program = relay.lab.start('relay', ['env', `NODE_COMPILE_CACHE=${cache}`, ...argv]);
    await program.waitForOutput(/"serves"/);
    const kept = (): number => readdirSync(cache, { recursive: true }).length;
    await expect.poll(kept).toBeGreaterThan(100);
    await program.kill();
  });

  test('SIGTERM ends it in order', async () => {
    await using relay = await Relay.create();
    await relay.apply({ upserts: [relay.relay('a')] });
    expect(statSync(relay.socket).mode & 0o777).toBe(0o600);
    const { code, stderr } = await relay.program.stop();
    expect(code).toBe(0);
    expect(stderr).toContain('"stopped"');
    expect(() => statSync(relay.socket)).toThrow('ENOENT');
  });

  test('without CAP_NET_RAW it names the capability and what to do', async () => {
    await using relay = await Relay.create();
    const socket = join(relay.lab.directory, 'other.sock');
    const argv = [
      'setpriv',
      '--inh-caps=-net_raw',
      '--bounding-set=-net_raw',
      LAUNCHER,
      'dataplane',
      '--socket',
      socket,
    ];
    const { code, stderr } = await relay.lab.run('relay', argv);
    expect(code).toBe(77);
    expect(stderr).toMatch(
      /^mcfleet dataplane: the capability CAP_NET_RAW is missing.*\n.*AmbientCapabilities=CAP_NET_RAW/,
    );
    expect(() => statSync(socket)).toThrow('ENOENT');
  });

  test('it outlives the process that started it and read its output', async () => {
    await using relay = await Relay.create();
    await relay.program.stop();
    const argv = [`--net=/run/netns/${relay.lab.realName('relay')}`, LAUNCHER, 'dataplane', '--socket', relay.socket];
    const parent = spawn(
      process.execPath,
      [
        '-e',
        `require('node:child_process').spawn('nsenter', ${JSON.stringify(argv)}, { detached: true, stdio: 'pipe' })
         .stderr.once('data', () => console.log('started'))`,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, MCFLEET_LAB: relay.lab.id } },
    );
    await once(parent.stdout, 'data');
    parent.kill('SIGKILL');
    await once(parent, 'exit');
    // Each of these is logged, to pipes that nobody holds any more.
    for (let i = 0; i < 3; i++) await relay.apply({ replaceAll: true, upserts: [relay.relay('a')] });
    await sleep(100);
    expect(await relay.deliver()).toBe(50);
    const { pid } = await callUnary(relay.client, 'status', {}, { timeoutMs: 60_000 });
    process.kill(pid, 'SIGHUP');
    await sleep(100);
    expect((await relay.snapshot()).relays).toHaveLength(1);
    process.kill(pid, 'SIGTERM');
  });
});
