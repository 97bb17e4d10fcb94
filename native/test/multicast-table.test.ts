// The kernel's multicast routing tables as programs use them, against what `ip mroute` and /proc say.
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Lab } from '../../test/lab/lab.ts';
import { chain } from '../../test/lab/topologies.ts';
import { describeWithLab, labObstacle } from '../../test/lab/when-possible.ts';
import type { RouteDraft, Step } from './run-multicast-table.ts';

const script = join(import.meta.dirname, 'run-multicast-table.ts');
const mroute: Step = { do: 'run', argv: ['ip', 'mroute', 'show', 'table', 'all'] };
const any: RouteDraft = { group: '239.1.1.1', input: 'veth1', outputs: { veth3: 1 } };
const one: RouteDraft = { ...any, source: '10.0.0.1', outputs: { veth3: 7 } };

describeWithLab('a multicast table', () => {
  let lab: Lab;
  beforeAll(async () => {
    if (labObstacle() === undefined) lab = await Lab.create(chain());
  });
  afterAll(() => lab?.[Symbol.asyncDispose]());

  async function run(steps: readonly Step[], ...before: readonly string[]): Promise<unknown[]> {
    const argv = [...before, process.execPath, script, JSON.stringify(steps)];
    const { code, stdout, stderr } = await lab.run('relay', argv);
    expect([code, stderr]).toEqual([0, '']);
    return stdout
      .trim()
      .split('\n')
      .map((line): unknown => JSON.parse(line));
  }

  it('holds the routes that were set, as the kernel tells them, and is empty when it is closed', async () => {
    const [, set, read, shown, removed, rest, , after] = await run([
      { do: 'open' },
      {
        do: 'apply',
        changes: [
          ['set', any],
          ['set', one],
          ['set', { ...one, outputs: { veth3: 9 } }],
        ],
      },
      { do: 'read' },
      mroute,
      {
        do: 'apply',
        changes: [
          ['remove', any],
          ['remove', any],
        ],
      },
      { do: 'read' },
      { do: 'close' },
      mroute,
    ]);
    expect(set).toEqual([null, null, null]);
    const counted = { packets: 0, bytes: 0, wrongInterface: 0, idleMs: expect.any(Number) };
    expect(read).toEqual({
      routes: expect.arrayContaining([
        { ...counted, source: null, group: '239.1.1.1', input: 'veth1', outputs: { veth1: 1, veth3: 1 } },
        { ...counted, source: '10.0.0.1', group: '239.1.1.1', input: 'veth1', outputs: { veth3: 9 } },
      ]),
      cutOff: [],
    });
    expect(String(shown).trim().split('\n')).toHaveLength(2);
    expect(shown).toMatch(/\(10\.0\.0\.1,239\.1\.1\.1\) +Iif: veth1 +Oifs: veth3\(ttl 9\)/);
    expect(removed).toEqual([null, null]);
    expect(rest).toMatchObject({ routes: [{ source: '10.0.0.1' }] });
    expect(after).toBe('');
  });

  it('refuses a change alone, with the errno and what to do', async () => {
    const loopback = { ...any, group: '239.1.1.2', outputs: { lo: 1 } };
    const [, outcomes, shown] = await run([
      { do: 'open' },
      {
        do: 'apply',
        changes: [
          ['set', { ...any, group: '224.0.0.9' }],
          ['set', { ...any, outputs: { nowhere: 1 } }],
          ['set', loopback],
          ['set', any],
          ['join', { ...any, input: 'nowhere' }],
        ],
      },
      mroute,
    ]);
    expect(outcomes).toEqual([
      { errno: 'ENOTSUP', message: expect.stringContaining('never routes groups of link-local scope') },
      { errno: 'ENODEV', message: expect.stringContaining('9999') },
      { errno: 'ENOTSUP', message: expect.stringContaining("'ip link set dev lo multicast on'") },
      null,
      { errno: 'ENODEV', message: expect.any(String) },
    ]);
    expect(String(shown).trim().split('\n')).toHaveLength(1);
  });

  it('joins and leaves what its routes take', async () => {
    const groups: Step = { do: 'run', argv: ['ip', 'maddress', 'show', 'dev', 'veth1'] };
    const [, , joined, , left] = await run([
      { do: 'open' },
      {
        do: 'apply',
        changes: [
          ['join', any],
          ['join', any],
        ],
      },
      groups,
      {
        do: 'apply',
        changes: [
          ['leave', any],
          ['leave', any],
        ],
      },
      groups,
    ]);
    expect(joined).toContain('239.1.1.1');
    expect(left).not.toContain('239.1.1.1');
  });

  it('names the routes of which an interface was deleted, until they are set again', async () => {
    await lab.ip('relay', 'link add gone type veth peer name gone-peer', 'link set gone up');
    const route = { ...any, outputs: { veth3: 1, gone: 1 } };
    const [, , , lost, , kept] = await run([
      { do: 'open' },
      { do: 'apply', changes: [['set', route]] },
      { do: 'run', argv: ['ip', 'link', 'delete', 'gone'] },
      { do: 'read' },
      { do: 'apply', changes: [['set', any]] },
      { do: 'read' },
    ]);
    expect(lost).toMatchObject({ cutOff: [[null, '239.1.1.1']], routes: [{ outputs: { veth1: 1, veth3: 1 } }] });
    expect(kept).toMatchObject({ cutOff: [], routes: [{ outputs: { veth1: 1, veth3: 1 } }] });
  });

  it('takes IPv6 routes, and a table beside the default one', async () => {
    const six: RouteDraft = { group: 'ff3e::1', input: 'veth1', outputs: { veth3: 1 } };
    const [, , read, shown, , , other] = await run([
      { do: 'open', family: 6 },
      {
        do: 'apply',
        changes: [
          ['set', six],
          ['join', six],
        ],
      },
      { do: 'read' },
      { do: 'run', argv: ['ip', '-6', 'mroute', 'show', 'table', 'all'] },
      { do: 'open', id: 100 },
      { do: 'apply', changes: [['set', any]] },
      mroute,
    ]);
    expect(read).toMatchObject({ routes: [{ source: null, group: 'ff3e::1', outputs: { veth1: 1, veth3: 1 } }] });
    expect(shown).toContain('ff3e::1');
    expect(other).toMatch(/239\.1\.1\.1.*Table: 100/);
  });

  it('is had by one program at a time, and by none without the capability', async () => {
    const [, second] = await run([{ do: 'open' }, { do: 'open' }]);
    expect(second).toEqual({ code: 'EADDRINUSE', message: expect.stringContaining('another program owns it') });
    const bare = ['setpriv', '--bounding-set', '-net_raw,-net_admin', '--inh-caps', '-net_raw,-net_admin'];
    const [refused] = await run([{ do: 'open' }], ...bare);
    expect(refused).toEqual({ code: 'EPERM', message: expect.stringContaining('CAP_NET_RAW') });
    const [closed] = (await run([{ do: 'open' }, { do: 'close' }, { do: 'read' }])).slice(2);
    expect(closed).toEqual({ code: 'EBADF', message: expect.stringContaining('closed') });
  });
});
