import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Lab } from '../../test/lab/lab.ts';
import type { LabProcess } from '../../test/lab/process.ts';
import { describeWithLab, labObstacle } from '../../test/lab/when-possible.ts';

/** A report with numbers for its 64-bit values; `code` and `error` instead if the call was refused. */
interface Report {
  [field: string]: unknown;
  flows: Record<string, unknown>[];
  latencyNs: { p50: number; p99: number; max: number } | null;
}

const script = join(import.meta.dirname, 'run-probe.ts');

/** The report of a process that has ended, or ends by itself. */
async function reportOf(running: LabProcess): Promise<Report> {
  const { stdout, stderr } = await running.exited;
  const last = stdout.trimEnd().split('\n').at(-1);
  if (!last?.startsWith('{')) throw new Error(`the probe ended without a report: ${stdout}${stderr}`);
  return JSON.parse(last) as Report;
}

describeWithLab('probe', () => {
  let lab: Lab;

  // left (192.0.2.1) and right (192.0.2.2) on one cable; both drop what comes from where they would not send to.
  beforeAll(async () => {
    if (labObstacle() !== undefined) return;
    const machine = { sysctls: { 'net.ipv6.conf.default.disable_ipv6': 1 } };
    lab = await Lab.create({
      namespaces: { left: machine, right: machine },
      links: [
        {
          a: { namespace: 'left', interface: 'left', addresses: ['192.0.2.1/24'] },
          b: { namespace: 'right', interface: 'right', addresses: ['192.0.2.2/24'] },
        },
      ],
    });
  });

  afterAll(async () => {
    await lab?.[Symbol.asyncDispose]();
  });

  /** Runs something in a namespace and says why if it cannot. */
  async function refusal(namespace: string, ...argv: string[]): Promise<string | undefined> {
    const { code, stderr } = await lab.run(namespace, argv);
    return code === 0 ? undefined : `'${argv.join(' ')}' does not work here: ${stderr.trim()}`;
  }

  function start(namespace: string, wrapper: string[], role: string, device: string, options: object): LabProcess {
    return lab.start(namespace, [...wrapper, process.execPath, script, role, device, JSON.stringify(options)]);
  }

  async function ready(probe: LabProcess): Promise<LabProcess> {
    await probe.waitForOutput(/"ready"/);
    return probe;
  }

  const send = async (options: object): Promise<Report> => reportOf(start('left', [], 'send', 'left', options));
  const receiver = (options: object): Promise<LabProcess> => ready(start('right', [], 'receive', 'right', options));

  async function exchange(sending: object, receiving: object): Promise<{ sent: Report; received: Report }> {
    const listening = await receiver(receiving);
    return { sent: await send(sending), received: await reportOf(listening) };
  }

  const clean = { lost: 0, duplicates: 0, reordered: 0, corrupt: 0, stale: 0, foreign: 0, receiverDrops: 0 };

  it('takes super-frames one by one or whole, with the same datagrams', async () => {
    // Datagrams that a socket has taken are counted as often as it was read.
    const taken = async (): Promise<number> => {
      const { stdout } = await lab.run('right', ['cat', '/proc/net/snmp']);
      return Number(/^Udp: (\d+)/m.exec(stdout)?.[1]);
    };
    // The last super-frame has 7.
    const sending = { count: 2_007, segments: 20, size: 900, rate: 20_000 };
    for (const [whole, reads] of [
      [false, 2_007],
      [true, 101],
    ] as const) {
      const before = await taken();
      const { sent, received } = await exchange(sending, { count: 2_007, whole });
      expect(received).toMatchObject({ ...clean, received: 2_007, payloadSha256: sent.payloadSha256 });
      expect((await taken()) - before).toBe(reads);
    }
  });

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
    const sent = await send({ source: '10.99.99.99', ttl: 1, flows: 2 });
    const seen = await reportOf(atInterface);
    expect(sent).toMatchObject({ mode: 'packet', sent: 2_000 });
    expect(seen).toMatchObject({ ...clean, received: 2_000, payloadSha256: sent.payloadSha256 });
    expect(seen.flows).toHaveLength(2);
    expect(seen.flows[0]).toMatchObject({ source: '10.99.99.99', sourcePort: 40_000, ttl: 1 });
    expect(seen.flows[1]).toMatchObject({ source: '10.99.99.99', sourcePort: 40_001, ttl: 1 });
    expect(await reportOf(atSocket)).toMatchObject({ received: 0, latencyNs: null, flows: [] });
  });

  it.each([
    { name: 'UDP', sending: {}, mode: 'udp' },
    { name: 'forced raw', sending: { raw: true }, mode: 'packet' },
    { name: 'unicast', sending: { group: '192.0.2.2' }, mode: 'udp' },
    { name: 'unicast raw', sending: { group: '192.0.2.2', raw: true }, mode: 'ip' },
    { name: 'own address as source', sending: { source: '192.0.2.1' }, mode: 'udp' },
    { name: 'the smallest payload', sending: { size: 48 }, mode: 'udp' },
    { name: 'segments', sending: { segments: 20, count: 2_000 }, mode: 'udp' },
    { name: 'segments, the last send not full', sending: { segments: 7, flows: 3 }, mode: 'udp' },
    { name: 'segments to a unicast address', sending: { segments: 20, group: '192.0.2.2' }, mode: 'udp' },
    { name: 'payloads that the kernel fragments', sending: { size: 9_000 }, mode: 'udp', fragments: true },
  ])('$name: both kinds of receiver agree', async ({ sending, mode, fragments }) => {
    const group = { group: '239.1.1.1', ...sending }.group;
    const first = await receiver({ group });
    const second = fragments ? null : await receiver({ group, raw: true });
    const sent = await send(sending);
    expect(sent).toMatchObject({ mode, sent: 2_000 });
    for (const report of [await reportOf(first), second === null ? null : await reportOf(second)]) {
      if (report) expect(report).toMatchObject({ ...clean, received: 2_000, payloadSha256: sent.payloadSha256 });
    }
  });

  it("filled once: numbers are each packet's own, patterns are not", async () => {
    const { sent, received } = await exchange({ segments: 20, digest: false, fillOnce: true }, { digest: false });
    expect(sent).toMatchObject({ sent: 2_000 });
    // Three slots of 20 packets, the first of which is always used: their first patterns are right.
    const intact = Number(received.received);
    expect(intact).toBeGreaterThanOrEqual(20);
    expect(intact).toBeLessThanOrEqual(60);
    expect(received).toMatchObject({ corrupt: 2_000 - intact, duplicates: 0, reordered: 0 });
  });

  it('tells loss, duplicates, reordering and corruption apart', async () => {
    // left -> a program at 192.0.2.2:6001 that damages 25 of 2500 in each way -> a receiver at 192.0.2.1:5001.
    const receiving = await ready(
      start('left', [], 'receive', 'left', { group: '192.0.2.1', count: 2_500, idleMs: 3_000 }),
    );
    const to = { address: '192.0.2.1', port: 5_001 };
    const impairing = await ready(start('right', [], 'impair', 'right', { port: 6_001, count: 2_500, to }));
    const sent = await send({ group: '192.0.2.2', port: 6_001, count: 2_500, rate: 5_000 });
    expect(sent.sent).toBe(2_500);
    expect(await reportOf(impairing)).toMatchObject({ seen: 2_500 });
    const received = await reportOf(receiving);
    expect(received).toMatchObject({ ...clean, received: 2_450, lost: 50, duplicates: 25, reordered: 25, corrupt: 25 });
    expect(received.payloadSha256).not.toBe(sent.payloadSha256);
  });

  it('sees what a firewall drops as lost at the socket, not at the interface', async (context) => {
    const rule = 'udp dport 5001 numgen inc mod 10 0 drop';
    const table = `add table ip probe { chain input { type filter hook input priority 0; ${rule}; }; }`;
    const refused = await refusal('right', 'nft', table);
    if (refused !== undefined) context.skip(refused);
    try {
      const atInterface = await receiver({ raw: true });
      const atSocket = await receiver({ idleMs: 3_000 });
      await send({});
      expect(await reportOf(atInterface)).toMatchObject({ ...clean, received: 2_000 });
      expect(await reportOf(atSocket)).toMatchObject({ ...clean, received: 1_800, lost: 200 });
    } finally {
      expect(await refusal('right', 'nft', 'delete table ip probe')).toBeUndefined();
    }
  });

  it('repeats what a full queue refuses: nothing is lost between the counter and the cable', async (context) => {
    const qdisc = (verb: string, ...rest: string[]): Promise<string | undefined> =>
      refusal('left', 'tc', 'qdisc', verb, 'dev', 'left', 'root', ...rest);
    const refused = await qdisc('add', 'tbf', 'rate', '40mbit', 'burst', '5kb', 'limit', '10kb');
    if (refused !== undefined) context.skip(refused);
    try {
      for (const raw of [false, true]) {
        const { sent, received } = await exchange({ raw, rate: 50_000, count: 1_000 }, { count: 1_000 });
        expect(sent.sent).toBe(1_000);
        expect(sent.retries).toBeGreaterThan(0);
        expect(received).toMatchObject({ ...clean, received: 1_000, payloadSha256: sent.payloadSha256 });
      }
    } finally {
      expect(await qdisc('delete')).toBeUndefined();
    }
  });

  it.each([
    { rate: 10, count: 6, seconds: 0.5 },
    { rate: 2.5, count: 3, seconds: 0.8 },
    { rate: 1_000, count: 501, seconds: 0.5 },
    // What needs much of a processor gets less of it while others want it.
    { rate: 50_000, count: 25_001, seconds: 0.5, slack: 3 },
    { rate: 50_000, count: 25_001, seconds: 0.5, slack: 3, segments: 20 },
  ])('keeps $rate packets per second', async ({ rate, count, seconds, slack = 1.5, segments = 1 }) => {
    // Never faster; how much slower is up to the machine, so that the best of some counts.
    let best = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 10 && best > seconds * slack; i++) {
      const sent = await send({ rate, count, size: 100, segments });
      expect(sent.sent).toBe(count);
      const took = Number(sent.durationNs) / 1e9;
      expect(took).toBeGreaterThan(seconds * 0.999);
      best = Math.min(best, took);
    }
    expect(best).toBeLessThan(seconds * slack);
  });

  it('stops when asked, with a report of what was done', async () => {
    const receiving = await receiver({ count: null, idleMs: null });
    const sending = await ready(start('left', [], 'send', 'left', { count: null, rate: 1_000 }));
    await new Promise((resolve) => setTimeout(resolve, 500));
    sending.signal('SIGTERM');
    const sent = await reportOf(sending);
    // Every packet is in its queue by now; it looks there every 20 ms.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    receiving.signal('SIGTERM');
    const received = await reportOf(receiving);
    expect(sent.sent).toBeGreaterThan(100);
    expect(received).toMatchObject({ ...clean, received: sent.sent, payloadSha256: sent.payloadSha256 });
  });

  it('ends by itself when nothing comes', async () => {
    expect(await reportOf(await receiver({ timeoutMs: 300 }))).toMatchObject({ received: 0, lost: 2_000 });
  });

  it('receives once per group, on its interface only', async () => {
    const other = await receiver({ group: '239.1.1.2', count: null, timeoutMs: 1_500 });
    const { received } = await exchange({ count: 500 }, { count: 500 });
    expect(received).toMatchObject({ ...clean, received: 500 });
    expect(await reportOf(other)).toMatchObject({ received: 0, foreign: 0 });
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
    {
      what: 'segments beyond the MTU',
      role: 'send',
      device: 'left',
      options: { segments: 2, size: 1473 },
      code: 'EMSGSIZE',
    },
    {
      what: 'segments from a foreign source',
      role: 'send',
      device: 'left',
      options: { segments: 2, source: '10.9.9.9' },
      code: 'EADDRNOTAVAIL',
    },
    { what: 'raw segments', role: 'send', device: 'left', options: { segments: 2, raw: true }, code: 'RangeError' },
    { what: 'segments of 68,432 bytes', role: 'send', device: 'left', options: { segments: 52 }, code: 'RangeError' },
    {
      what: 'a fingerprint of what is filled once',
      role: 'send',
      device: 'left',
      options: { fillOnce: true },
      code: 'RangeError',
    },
    { what: 'a size of 47', role: 'send', device: 'left', options: { size: 47 }, code: 'RangeError' },
    { what: 'port 0', role: 'receive', device: 'left', options: { port: 0 }, code: 'RangeError' },
    { what: 'a name as group', role: 'receive', device: 'left', options: { group: 'localhost' }, code: 'RangeError' },
  ])('$role refuses $what', async ({ role, device, options, code }) => {
    if (device === 'dead') await lab.ip('left', 'link add dead type bridge');
    try {
      expect(await reportOf(start('left', [], role, device, options))).toMatchObject({ code });
    } finally {
      if (device === 'dead') await lab.deleteInterface('left', 'dead');
    }
  });

  it.each([
    { role: 'send', options: { raw: true } },
    { role: 'send', options: { source: '10.99.99.99' } },
    { role: 'receive', options: { raw: true } },
  ])('$role $options without CAP_NET_RAW says EPERM', async ({ role, options }) => {
    const probe = start('left', ['setpriv', '--bounding-set', '-net_raw'], role, 'left', options);
    expect(await reportOf(probe)).toMatchObject({ code: 'EPERM' });
  });

  it('needs no privilege for UDP', async () => {
    const unprivileged = ['setpriv', '--bounding-set', '-all', '--inh-caps', '-all'];
    const receiving = await ready(start('right', unprivileged, 'receive', 'right', { count: 100 }));
    const sending = start('left', unprivileged, 'send', 'left', { count: 100, rate: 1_000 });
    expect(await reportOf(sending)).toMatchObject({ sent: 100 });
    expect(await reportOf(receiving)).toMatchObject({ ...clean, received: 100 });
  });
});
