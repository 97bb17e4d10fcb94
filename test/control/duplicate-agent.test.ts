import { type Condition, ConditionStatus } from '@mcfleet/proto/mcfleet/v1/common';
import type { Host } from '@mcfleet/proto/mcfleet/v1/host';
import { Host as HostMessage } from '@mcfleet/proto/mcfleet/v1/host';
import { expect, it } from 'vitest';
import { Fleet, mcfleet } from '../fleet/fleet.ts';
import { until } from '../fleet/until.ts';
import { Lab } from '../lab/lab.ts';
import { describeWithLab } from '../lab/when-possible.ts';

/** Two hosts, each on a cable of its own to the controller. */
async function lab(): Promise<Lab> {
  return await Lab.create({
    namespaces: { center: {}, original: {}, clone: {} },
    links: [
      {
        a: { namespace: 'center', interface: 'eth0', addresses: ['10.0.0.1/24'] },
        b: { namespace: 'original', interface: 'eth0', addresses: ['10.0.0.2/24'] },
      },
      {
        a: { namespace: 'center', interface: 'eth1', addresses: ['10.0.1.1/24'] },
        b: { namespace: 'clone', interface: 'eth0', addresses: ['10.0.1.2/24'] },
      },
    ],
  });
}

describeWithLab('two agents under one name', () => {
  it('show as a condition of the host that names both, and goes when one of them has gone', async () => {
    await using made = await lab();
    await made.ip('clone', 'route add default via 10.0.1.1');
    const fleet = await Fleet.start(made, {
      controller: 'center',
      address: '10.0.0.1',
      hosts: { 'edge-1': 'original' },
    });
    const host = async (): Promise<Host> =>
      HostMessage.fromJSON(JSON.parse(await fleet.command(['get', 'host', 'edge-1', '-o', 'json'])));
    const condition = async (): Promise<Condition | undefined> =>
      (await host()).status?.conditions.find(({ type }) => type === 'DuplicateAgent');
    expect(await condition()).toBeUndefined();

    // A disk that was copied: the same name, on another machine.
    const files = ['--state-dir', `${made.directory}/clone`, '--dataplane-socket', `${made.directory}/clone.sock`];
    const controller = ['--controller', '10.0.0.1:7401', '--insecure'];
    made.start('clone', [mcfleet, 'agent', '--name', 'edge-1', ...controller, ...files]);
    const found = await until('the condition holds', async () => {
      const now = await condition();
      return now?.status === ConditionStatus.TRUE && now;
    });
    expect(found?.reason).toBe('SameNameTwice');
    expect(found?.message).toMatch(
      /^two agents call themselves edge-1: that at 10\.0\.1\.2 \(.*\) has the session, that at 10\.0\.0\.2 \(.*\) is turned away\./,
    );
    expect(await fleet.command(['describe', 'host', 'edge-1'])).toMatch(/DuplicateAgent: yes, for .*10\.0\.0\.2/);

    // They take it from each other no more, however often the other asks.
    const original = fleet.agent('edge-1');
    const { sessionId } = (await host()).status ?? {};
    await original.waitForOutput(/DUPLICATE_AGENT/);
    expect((await host()).status).toMatchObject({ connected: true, sessionId });

    await original.stop();
    // It may be waiting to ask again, for half a minute.
    const gone = { timeout: 100_000, interval: 1_000 };
    await expect.poll(async () => (await condition())?.status, gone).toBe(ConditionStatus.FALSE);
    expect((await host()).status).toMatchObject({ connected: true, sessionId });
  });
});
