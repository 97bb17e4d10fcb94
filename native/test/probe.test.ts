import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commandObstacle, namespaceObstacle, TestNamespace } from './namespaces.ts';

/** A report with numbers for its 64-bit values; `code` and `error` instead if the call was refused. */
interface Report {
  [field: string]: unknown;
  flows: Record<string, unknown>[];
  latencyNs: { p50: number; p99: number; max: number } | null;
}

class Probe {
  readonly #lines: AsyncIterator<string>;
  readonly #child: ChildProcess;

  constructor(space: TestNamespace, wrapper: string[], role: string, device: string, options: object) {
    const script = join(import.meta.dirname, 'run-probe.ts');
    const [command, parameters] = space.command(
      ...wrapper,
      process.execPath,
      script,
      role,
      device,
      JSON.stringify(options),
    );
    this.#child = spawn(command, parameters, { stdio: ['pipe', 'pipe', 'inherit'] });
    if (!this.#child.stdout) throw new Error('no output');
    this.#lines = createInterface(this.#child.stdout)[Symbol.asyncIterator]();
  }

  async line(): Promise<Report> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('the probe ended without a report');
    return JSON.parse(value) as Report;
  }

  async ready(): Promise<this> {
    const line: unknown = await this.line();
    if (line !== 'ready') throw new Error(`the probe did not start: ${JSON.stringify(line)}`);
    return this;
  }

  stop(): void {
    this.#child.stdin?.write('stop\n');
  }
}

const obstacle = namespaceObstacle();
const nftObstacle = commandObstacle('nft', 'add', 'table', 'ip', 'probe');
const tbf = ['root', 'tbf', 'rate', '40mbit', 'burst', '5kb', 'limit', '10kb'];
const tbfObstacle = commandObstacle('tc', 'qdisc', 'add', 'dev', 'lo', ...tbf);
const noted = (name: string, reason: string | null): string => (reason ? `${name} (skipped: ${reason})` : name);

describe.skipIf(obstacle)(noted('probe', obstacle), () => {
  let left: TestNamespace;
  let right: TestNamespace;

  // left (192.0.2.1) and right (192.0.2.2) on one cable; right drops what comes from where it would not send to.
  beforeAll(() => {
    left = new TestNamespace();
    right = new TestNamespace();
    execFileSync('ip', [
      ...['link', 'add', 'left', 'netns', left.name, 'type', 'veth'],
      ...['peer', 'name', 'right', 'netns', right.name],
    ]);
    left.ip('address', 'add', '192.0.2.1/24', 'dev', 'left');
    right.ip('address', 'add', '192.0.2.2/24', 'dev', 'right');
    right.run('sysctl', '-qw', 'net.ipv4.conf.all.rp_filter=1', 'net.ipv4.conf.right.rp_filter=1');
    left.ip('link', 'set', 'left', 'up');
    right.ip('link', 'set', 'right', 'up');
  });

  afterAll(() => {
    left.delete();
    right.delete();
  });

  const sender = (options: object): Probe => new Probe(left, [], 'send', 'left', options);
  const receiver = (options: object): Promise<Probe> => new Probe(right, [], 'receive', 'right', options).ready();

  async function exchange(send: object, receive: object): Promise<{ sent: Report; received: Report }> {
    const receiving = await receiver(receive);
    const sending = await sender(send).ready();
    return { sent: await sending.line(), received: await receiving.line() };
  }

  const clean = { lost: 0, duplicates: 0, reordered: 0, corrupt: 0, stale: 0, foreign: 0, receiverDrops: 0 };

  it('counts a multicast stream of three flows exactly', async () => {
    const count = 20_001;
    const { sent, received } = await exchange({ count, rate: 20_000, flows: 3, sourcePort: 7_000 }, { count });
    expect(sent).toMatchObject({ mode: 'udp', sent: count, bytes: count * 1316 });
    expect(received).toMatchObject({ ...clean, received: count, bytes: count * 1316 });
    expect(received.payloadSha256).toBe(sent.payloadSha256);
    expect(received.payloadSha256).toMatch(/^[0-9a-f]{64}$/);
    const flows = received.flows.toSorted((a, b) => Number(a.flow) - Number(b.flow));
    expect(flows).toHaveLength(3);
    for (const [i, flow] of flows.entries()) {
      expect(flow).toMatchObject({ flow: i, source: '192.0.2.1', sourcePort: 7_000 + i, ttl: null, received: 6_667 });
      expect(flow).toMatchObject({ lost: 0, firstSequence: 0, lastSequence: 6_666 });
    }
    expect(received.latencyNs?.p50).toBeGreaterThan(0);
    expect(received.latencyNs?.p50).toBeLessThanOrEqual(received.latencyNs?.p99 ?? 0);
    expect(received.latencyNs?.p99).toBeLessThanOrEqual(received.latencyNs?.max ?? 0);
    expect(received.progress).toMatchObject({ received: count, lost: 0 });
  });

  it('sends raw from a source that cannot be routed: at the interface, but not at a socket under strict rp_filter', async () => {
    const atInterface = await receiver({ raw: true });
    const atSocket = await receiver({ count: null, durationMs: 3_000, timeoutMs: 3_000 });
    const sent = await (await sender({ source: '10.99.99.99', ttl: 1, flows: 2 }).ready()).line();
    const seen = await atInterface.line();
    expect(sent).toMatchObject({ mode: 'packet', sent: 2_000 });
    expect(seen).toMatchObject({ ...clean, received: 2_000, payloadSha256: sent.payloadSha256 });
    expect(seen.flows).toHaveLength(2);
    expect(seen.flows[0]).toMatchObject({ source: '10.99.99.99', sourcePort: 40_000, ttl: 1 });
    expect(seen.flows[1]).toMatchObject({ source: '10.99.99.99', sourcePort: 40_001, ttl: 1 });
    expect(await atSocket.line()).toMatchObject({ received: 0, latencyNs: null, flows: [] });
  });

  it.each([
    { name: 'UDP', send: {}, mode: 'udp' },
    { name: 'forced raw', send: { raw: true }, mode: 'packet' },
    { name: 'unicast', send: { group: '192.0.2.2' }, mode: 'udp' },
    { name: 'unicast raw', send: { group: '192.0.2.2', raw: true }, mode: 'ip' },
    { name: 'own address as source', send: { source: '192.0.2.1' }, mode: 'udp' },
    { name: 'the smallest payload', send: { size: 48 }, mode: 'udp' },
    { name: 'payloads that the kernel fragments', send: { size: 9_000 }, mode: 'udp', fragments: true },
  ])('$name: both kinds of receiver agree', async ({ send, mode, fragments }) => {
    const group = { group: '239.1.1.1', ...send }.group;
    const first = await receiver({ group });
    const second = fragments ? null : await receiver({ group, raw: true });
    const sent = await (await sender({ source: null, ...send }).ready()).line();
    expect(sent).toMatchObject({ mode, sent: 2_000 });
    for (const report of [await first.line(), await second?.line()]) {
      if (report) expect(report).toMatchObject({ ...clean, received: 2_000, payloadSha256: sent.payloadSha256 });
    }
  });

  it('tells loss, duplicates, reordering and corruption apart', async () => {
    // left -> a program at 192.0.2.2:6001 that damages 25 of 2500 in each way -> a receiver at 192.0.2.1:5001.
    const receiving = await new Probe(left, [], 'receive', 'left', { group: '192.0.2.1', count: 2_500 }).ready();
    const to = { address: '192.0.2.1', port: 5_001 };
    const impairing = await new Probe(right, [], 'impair', 'right', { port: 6_001, count: 2_500, to }).ready();
    const sent = await (await sender({ group: '192.0.2.2', port: 6_001, count: 2_500, rate: 5_000 }).ready()).line();
    expect(sent.sent).toBe(2_500);
    expect(await impairing.line()).toMatchObject({ seen: 2_500 });
    const received = await receiving.line();
    expect(received).toMatchObject({ ...clean, received: 2_450, lost: 50, duplicates: 25, reordered: 25, corrupt: 25 });
    expect(received.payloadSha256).not.toBe(sent.payloadSha256);
  });

  it.skipIf(nftObstacle)(
    noted('sees what a firewall drops as lost at the socket, not at the interface', nftObstacle),
    async () => {
      right.run(
        'nft',
        'add table ip probe { chain input { type filter hook input priority 0; udp dport 5001 numgen inc mod 10 0 drop; }; }',
      );
      try {
        const atInterface = await receiver({ raw: true });
        const atSocket = await receiver({});
        await (await sender({}).ready()).line();
        expect(await atInterface.line()).toMatchObject({ ...clean, received: 2_000 });
        expect(await atSocket.line()).toMatchObject({ ...clean, received: 1_800, lost: 200 });
      } finally {
        right.run('nft', 'delete', 'table', 'ip', 'probe');
      }
    },
  );

  it.skipIf(tbfObstacle)(
    noted('repeats what a full queue refuses: nothing is lost between the counter and the cable', tbfObstacle),
    async () => {
      left.run('tc', 'qdisc', 'add', 'dev', 'left', ...tbf);
      try {
        for (const raw of [false, true]) {
          const { sent, received } = await exchange({ raw, rate: 50_000, count: 1_000 }, { count: 1_000 });
          expect(sent.sent).toBe(1_000);
          expect(sent.retries).toBeGreaterThan(0);
          expect(received).toMatchObject({ ...clean, received: 1_000, payloadSha256: sent.payloadSha256 });
        }
      } finally {
        left.run('tc', 'qdisc', 'delete', 'dev', 'left', 'root');
      }
    },
  );

  it.each([
    { rate: 10, count: 6, seconds: 0.5 },
    { rate: 2.5, count: 3, seconds: 0.8 },
    { rate: 1_000, count: 501, seconds: 0.5 },
    { rate: 50_000, count: 25_001, seconds: 0.5 },
  ])('keeps $rate packets per second', async ({ rate, count, seconds }) => {
    const sent = await (await sender({ rate, count, size: 100 }).ready()).line();
    expect(sent.sent).toBe(count);
    expect(Number(sent.durationNs) / 1e9).toBeGreaterThan(seconds * 0.999);
    expect(Number(sent.durationNs) / 1e9).toBeLessThan(seconds * 1.02 + 0.02);
  });

  it('stops when asked, with a report of what was done', async () => {
    const receiving = await receiver({ count: null, idleMs: null });
    const sending = await sender({ count: null, rate: 1_000 }).ready();
    await new Promise((resolve) => setTimeout(resolve, 500));
    sending.stop();
    const sent = await sending.line();
    await new Promise((resolve) => setTimeout(resolve, 200));
    receiving.stop();
    const received = await receiving.line();
    expect(sent.sent).toBeGreaterThan(100);
    expect(received).toMatchObject({ ...clean, received: sent.sent, payloadSha256: sent.payloadSha256 });
  });

  it('ends by itself when nothing comes', async () => {
    const start = Date.now();
    expect(await (await receiver({ timeoutMs: 300 })).line()).toMatchObject({ received: 0, lost: 2_000 });
    expect(Date.now() - start).toBeLessThan(5_000);
  });

  it('receives once per group, on its interface only', async () => {
    const other = await receiver({ group: '239.1.1.2', count: null, timeoutMs: 1_500 });
    const { received } = await exchange({ count: 500 }, { count: 500 });
    expect(received).toMatchObject({ ...clean, received: 500 });
    expect(await other.line()).toMatchObject({ received: 0, foreign: 0 });
  });

  it.each([
    { what: 'an unknown interface', role: 'send', device: 'nowhere', options: {}, code: 'ENODEV' },
    { what: 'an unknown interface', role: 'receive', device: 'nowhere', options: {}, code: 'ENODEV' },
    {
      what: 'raw packets beyond the MTU',
      role: 'send',
      device: 'left',
      options: { raw: true, size: 1473 },
      code: 'EMSGSIZE',
    },
    {
      what: 'a foreign unicast address',
      role: 'receive',
      device: 'left',
      options: { group: '203.0.113.9' },
      code: 'EADDRNOTAVAIL',
    },
    {
      what: 'an interface that is down',
      role: 'send',
      device: 'dead',
      options: { raw: true, source: '10.0.0.1' },
      code: 'ENETDOWN',
    },
    {
      what: 'an interface without address',
      role: 'send',
      device: 'dead',
      options: { raw: true },
      code: 'EADDRNOTAVAIL',
    },
    { what: 'a size of 47', role: 'send', device: 'left', options: { size: 47 }, code: 'RangeError' },
    { what: 'port 0', role: 'receive', device: 'left', options: { port: 0 }, code: 'RangeError' },
    { what: 'a name as group', role: 'receive', device: 'left', options: { group: 'localhost' }, code: 'RangeError' },
  ])('$role refuses $what', async ({ role, device, options, code }) => {
    if (device === 'dead') left.ip('link', 'add', 'dead', 'type', 'bridge');
    try {
      const probe = new Probe(left, [], role, device, options);
      const first: unknown = await probe.line();
      const report = first === 'ready' ? await probe.line() : first;
      expect(report).toMatchObject({ code });
    } finally {
      if (device === 'dead') left.ip('link', 'delete', 'dead');
    }
  });

  it.each([
    { role: 'send', options: { raw: true } },
    { role: 'send', options: { source: '10.99.99.99' } },
    { role: 'receive', options: { raw: true } },
  ])('$role $options without CAP_NET_RAW says EPERM', async ({ role, options }) => {
    const probe = new Probe(left, ['setpriv', '--bounding-set', '-net_raw'], role, 'left', options);
    expect(await probe.line()).toMatchObject({ code: 'EPERM' });
  });

  it('needs no privilege for UDP', async () => {
    const unprivileged = ['setpriv', '--reuid', '65534', '--clear-groups', '--bounding-set', '-all'];
    const receiving = await new Probe(right, unprivileged, 'receive', 'right', { count: 100 }).ready();
    const sending = await new Probe(left, unprivileged, 'send', 'left', { count: 100, rate: 1_000 }).ready();
    expect(await sending.line()).toMatchObject({ sent: 100 });
    expect(await receiving.line()).toMatchObject({ ...clean, received: 100 });
  });
});
