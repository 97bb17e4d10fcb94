// The probe's two ends over IPv6: the same as over IPv4 (probe.test.ts), save raw packets.
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Lab } from '../../test/lab/lab.ts';
import type { LabProcess } from '../../test/lab/process.ts';
import { describeWithLab, labObstacle } from '../../test/lab/when-possible.ts';

type Report = Readonly<Record<string, unknown>>;

const script = fileURLToPath(new URL('run-probe.ts', import.meta.url));
const group = 'ff15::1';
const clean = { lost: 0, duplicates: 0, reordered: 0, corrupt: 0, stale: 0, foreign: 0, receiverDrops: 0 };

describeWithLab('probe over IPv6', () => {
  let lab: Lab;

  beforeAll(async () => {
    if (labObstacle() !== undefined) return;
    lab = await Lab.create({
      namespaces: { left: {}, right: {} },
      links: [{ a: { namespace: 'left', interface: 'left' }, b: { namespace: 'right', interface: 'right' } }],
    });
    await lab.ip('left', 'address add 2001:db8::1/64 dev left nodad');
    await lab.ip('right', 'address add 2001:db8::2/64 dev right nodad');
  });

  afterAll(async () => {
    await lab?.[Symbol.asyncDispose]();
  });

  const start = (namespace: string, role: string, options: object): LabProcess =>
    lab.start(namespace, [process.execPath, script, role, namespace, JSON.stringify({ group, ...options })]);

  async function reportOf(probe: LabProcess): Promise<Report> {
    const { stdout, stderr } = await probe.exited;
    const last = stdout.trimEnd().split('\n').at(-1);
    if (last === undefined) throw new Error(`no report: ${stderr}`);
    return JSON.parse(last) as Report;
  }

  it.each([
    { name: 'to a group', sending: {} },
    { name: 'to a unicast address', sending: { group: '2001:db8::2' } },
    { name: 'from an address of its own', sending: { source: '2001:db8::1', flows: 3 } },
    { name: 'in segments', sending: { segments: 20 } },
    { name: 'in segments to a unicast address', sending: { segments: 20, group: '2001:db8::2' } },
    { name: 'as large as the MTU allows, in segments', sending: { segments: 2, size: 1452 } },
    { name: 'as payloads that the kernel fragments', sending: { size: 9_000 } },
  ])('sends $name', async ({ sending }) => {
    const receiver = start('right', 'receive', { group: { group, ...sending }.group });
    await receiver.waitForOutput(/"ready"/);
    const sent = await reportOf(start('left', 'send', sending));
    expect(sent).toMatchObject({ mode: 'udp', sent: 2_000 });
    const received = await reportOf(receiver);
    expect(received).toMatchObject({ ...clean, received: 2_000, payloadSha256: sent.payloadSha256 });
    expect(received.flows).toMatchObject([
      { source: '2001:db8::1' },
      ...Array(('flows' in sending ? 3 : 1) - 1).fill({}),
    ]);
  });

  it('receives once per group, on its interface only', async () => {
    const other = start('right', 'receive', { group: 'ff15::2', idleMs: 1, durationMs: 2_500 });
    const receiver = start('right', 'receive', {});
    await Promise.all([other.waitForOutput(/"ready"/), receiver.waitForOutput(/"ready"/)]);
    await reportOf(start('left', 'send', {}));
    expect(await reportOf(receiver)).toMatchObject({ ...clean, received: 2_000 });
    expect(await reportOf(other)).toMatchObject({ received: 0, foreign: 0 });
  });

  it.each([
    { what: 'raw packets', role: 'send', options: { raw: true }, code: 'RangeError' },
    { what: 'raw packets', role: 'receive', options: { raw: true }, code: 'RangeError' },
    { what: 'a source that it does not have', role: 'send', options: { source: '2001:db8::9' }, code: 'EAFNOSUPPORT' },
    { what: 'an IPv4 source', role: 'send', options: { source: '192.0.2.1' }, code: 'RangeError' },
    { what: 'segments beyond the MTU', role: 'send', options: { segments: 2, size: 1453 }, code: 'EMSGSIZE' },
  ])('$role refuses $what', async ({ role, options, code }) => {
    expect(await reportOf(start('left', role, options))).toMatchObject({ code });
  });
});
