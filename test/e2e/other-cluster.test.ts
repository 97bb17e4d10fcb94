/** A controller that lost its store and was begun anew is another cluster: hosts do not give up for it what they forward. */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { type Condition, ConditionStatus } from '@mcfleet/proto/mcfleet/v1/common';
import { Host } from '@mcfleet/proto/mcfleet/v1/host';
import { expect, it } from 'vitest';
import { Fleet } from '../fleet/fleet.ts';
import { host, RelayPath } from '../fleet/relay-path.ts';
import { until } from '../fleet/until.ts';
import { Lab } from '../lab/lab.ts';
import { chain } from '../lab/topologies.ts';
import { describeWithLab } from '../lab/when-possible.ts';
import { expectAll } from './all-arrived.ts';

const rate = 10_000;

async function otherCluster(fleet: Fleet): Promise<Condition | undefined> {
  const listed = await fleet.run(['get', 'host', host, '-o', 'json']);
  if (listed.code !== 0) return undefined;
  const { status } = Host.fromJSON(JSON.parse(listed.stdout));
  return status?.conditions.find(({ type }) => type === 'OtherCluster');
}

describeWithLab('an agent that meets a controller of another cluster', () => {
  it('forwards on, also over its own restart and the loss of its state, and says so on both sides, until it is told to adopt it', async () => {
    await using lab = await Lab.create(chain());
    const more: string[] = [];
    const fleet = await Fleet.start(lab, {
      controller: 'relay',
      hosts: { [host]: 'relay' },
      agentCommand: (argv) => [...argv, ...more],
    });
    const path = RelayPath.over(lab, fleet, 'chain');
    await path.apply({ camera: path.spec() });
    await fleet.controller.kill();

    const carried = await path.carryDuring({ rate }, async () => {
      // Nothing there but what a controller leaves: it is refused. Then the operator moves all of it aside.
      renameSync(`${fleet.controllerDirectory}/store.db`, `${lab.directory}/store.db`);
      const refused = await fleet.startController().exited;
      expect(refused).toMatchObject({ code: 1 });
      expect(refused.stderr).toContain('restore the store from a backup, or move all of');
      renameSync(fleet.controllerDirectory, `${lab.directory}/aside`);
      mkdirSync(fleet.controllerDirectory);
      fleet.startController();
      await until('the host shows it', async () => (await otherCluster(fleet)) !== undefined, 60_000);
      await fleet.agent(host).waitForOutput(/OTHER_CLUSTER/, 40_000);
      await fleet.agent(host).kill();
      // Also a host that has lost its state on the way is not emptied by the other cluster.
      writeFileSync(`${fleet.agentDirectory(host)}/state.bin`, 'damaged');
      fleet.startAgent(host);
      await fleet.agent(host).waitForOutput(/OTHER_CLUSTER/, 40_000);
    });
    expectAll(carried);

    const condition = await otherCluster(fleet);
    expect(condition).toMatchObject({ status: ConditionStatus.TRUE, reason: 'StateOfAnotherCluster' });
    const uid = /--adopt-cluster ([0-9a-f-]{36})/.exec(condition?.message ?? '')?.[1] ?? '';
    expect(fleet.controller.stderr).toContain(`"cluster":"${uid}"`);
    expect(await fleet.command(['describe', 'host', host])).toContain(`--adopt-cluster ${uid}`);

    more.push('--adopt-cluster', uid);
    await fleet.agent(host).stop();
    fleet.startAgent(host);
    await fleet.waitForHosts();
    await path.apply({ other: path.spec({ input: { port: 5002 } }) });
    expect(await otherCluster(fleet)).toBeUndefined();
    expectAll(await path.carry({ count: rate, rate, port: 5002 }));
    expect((await path.carry({ count: 100, rate: 1_000 })).received).toMatchObject({ received: 0 });
  });
});
