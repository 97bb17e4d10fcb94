/** How long kernel routes live. Claim: they vanish with the program that made them, so that a daemon is absolutely required. */
import { expect, it } from 'vitest';
import { until } from '../fleet/until.ts';
import { Lab } from '../lab/lab.ts';
import { chain } from '../lab/topologies.ts';
import { describeExperiment } from './obstacle.ts';
import { Recorder } from './record.ts';
import { holdRoutes, runTool, sendPackets } from './tool.ts';

const flow = { source: '10.0.0.1', group: '239.1.1.1', count: 100 };
const arrived = [{ source: flow.source, destination: flow.group, ttl: 63, packets: flow.count }];
const route = `init vif 0 veth1 vif 1 veth3 mfc ${flow.source} ${flow.group} 0 1:1`;

/** How many routes the kernel has. */
async function routes(lab: Lab): Promise<number> {
  const { stdout } = await lab.run('relay', ['cat', '/proc/net/ip_mr_cache']);
  return stdout.trimEnd().split('\n').length - 1;
}

describeExperiment('kernel routes', ['nft', 'c++'], () => {
  it('vanish with the last process that holds the socket that made them', async () => {
    await using lab = await Lab.create(chain({ ipv6: false }));
    const recorder = await Recorder.start(lab, 'sink', 'veth2');
    const owner = await holdRoutes(lab, 'relay', route);
    await sendPackets(lab, 'gen', 'veth0', flow);
    expect(await recorder.take()).toEqual(arrived);
    expect(await routes(lab)).toBe(1);

    owner.signal('SIGKILL');
    await owner.exited;
    await until('the routes are gone', async () => (await routes(lab)) === 0);
    await sendPackets(lab, 'gen', 'veth0', flow);
    expect(await recorder.take()).toEqual([]);
  });

  it('live on where another process holds that socket, although the one that made them has gone', async () => {
    await using lab = await Lab.create(chain({ ipv6: false }));
    const recorder = await Recorder.start(lab, 'sink', 'veth2');
    const maker = await holdRoutes(lab, 'relay', `${route} leave`);
    expect((await maker.exited).code).toBe(0);
    await sendPackets(lab, 'gen', 'veth0', flow);
    expect(await recorder.take()).toEqual(arrived);
    // It is still owned: nobody else can take the table.
    expect(await runTool(lab, 'relay', 'init')).toEqual(['init: EADDRINUSE']);
  });
});
