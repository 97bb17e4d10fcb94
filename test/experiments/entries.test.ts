/** What the kernel makes of entries that the manuals leave open: an input among the outputs, one flow from two inputs, and static entries. */
import { expect, it } from 'vitest';
import { until } from '../fleet/until.ts';
import { Lab } from '../lab/lab.ts';
import { chain } from '../lab/topologies.ts';
import { describeExperiment } from './obstacle.ts';
import { Recorder } from './record.ts';
import { holdRoutes, runTool, sendPackets } from './tool.ts';

const source = '10.0.0.1';
const group = '239.1.1.1';
const forwarded = { source, destination: group, ttl: 63, packets: 5 };

describeExperiment('entries of the forwarding cache', ['nft', 'c++'], () => {
  it('of one source send a copy back to the input that is among their outputs; those of any source do not', async () => {
    await using lab = await Lab.create(chain({ ipv6: false, rpFilter: 0 }));
    await using echoing = await holdRoutes(
      lab,
      'relay',
      `init vif 0 veth1 vif 1 veth3 mfc ${source} ${group} 0 0:1,1:1`,
    );
    const sink = await Recorder.start(lab, 'sink', 'veth2');
    const gen = await Recorder.start(lab, 'gen', 'veth0');
    await sendPackets(lab, 'gen', 'veth0', { source, group });
    expect(await sink.take()).toEqual([forwarded]);
    expect(await gen.take()).toEqual([forwarded]);
    await echoing.stop();

    // There the input has to be among the outputs: without it the entry matches nothing.
    await using plain = await holdRoutes(lab, 'relay', `init vif 0 veth1 vif 1 veth3 proxy 0.0.0.0 ${group} 0 0:1,1:1`);
    await sendPackets(lab, 'gen', 'veth0', { source, group });
    expect(await sink.take()).toEqual([forwarded]);
    expect(await gen.take()).toEqual([]);
    await plain.stop();
    await using _without = await holdRoutes(lab, 'relay', `init vif 0 veth1 vif 1 veth3 proxy 0.0.0.0 ${group} 0 1:1`);
    await sendPackets(lab, 'gen', 'veth0', { source, group });
    expect(await sink.take()).toEqual([]);
  });

  it('of any source lose nothing, the first packet included, while nobody reads the socket', async () => {
    await using lab = await Lab.create(chain({ ipv6: false }));
    await holdRoutes(lab, 'relay', `init vif 0 veth1 vif 1 veth3 proxy 0.0.0.0 ${group} 0 0:1,1:1`);
    const sink = await Recorder.start(lab, 'sink', 'veth2');
    const sources = Array.from({ length: 50 }, (_, i) => `10.0.0.${i + 100}`);
    await sendPackets(lab, 'gen', 'veth0', ...sources.map((from) => ({ source: from, group, count: 1 })));
    expect(await sink.take()).toEqual(
      sources.map((from) => ({ source: from, destination: group, ttl: 63, packets: 1 })),
    );
  });

  it('of one flow from two inputs do not both forward in one table, also if made by MRT_ADD_MFC_PROXY', async () => {
    await using lab = await Lab.create({
      namespaces: { gen: {}, relay: { rpFilter: 0 }, sink: {} },
      links: [
        ...[0, 1].map((i) => ({
          a: { namespace: 'gen', interface: `in${i}`, addresses: [`10.0.${i}.1/24`] },
          b: { namespace: 'relay', interface: `in${i}`, addresses: [`10.0.${i}.2/24`] },
        })),
        {
          a: { namespace: 'relay', interface: 'out0', addresses: ['10.1.0.1/24'] },
          b: { namespace: 'sink', interface: 'out0', addresses: ['10.1.0.2/24'] },
        },
      ],
    });
    const vifs = 'init vif 0 in0 vif 1 in1 vif 2 out0';
    await using _routes = await holdRoutes(
      lab,
      'relay',
      `${vifs} proxy ${source} ${group} 0 2:1 proxy ${source} ${group} 1 2:1`,
    );
    const sink = await Recorder.start(lab, 'sink', 'out0');
    const arrived: number[] = [];
    for (const input of ['in0', 'in1']) {
      await sendPackets(lab, 'gen', input, { source, group });
      arrived.push((await sink.take()).reduce((sum, { packets }) => sum + packets, 0));
    }
    expect(arrived.toSorted()).toEqual([0, 5]);
  });

  it('made through a socket that is not the owner stay when the owner goes, and forward while any table has one', async () => {
    await using lab = await Lab.create(chain({ ipv6: false }));
    const sink = await Recorder.start(lab, 'sink', 'veth2');
    const owner = await holdRoutes(lab, 'relay', 'init');
    expect(await runTool(lab, 'relay', `vif 0 veth1 vif 1 veth3 mfc ${source} ${group} 0 1:1`)).toEqual([
      'vif 0: ok',
      'vif 1: ok',
      'mfc: ok',
    ]);
    const send = async (): Promise<unknown> => {
      await sendPackets(lab, 'gen', 'veth0', { source, group });
      return await sink.take();
    };
    expect(await send()).toEqual([forwarded]);

    await owner.stop();
    const forwarding = async (): Promise<string> =>
      (await lab.run('relay', ['cat', '/proc/sys/net/ipv4/conf/all/mc_forwarding'])).stdout.trim();
    await until('the kernel forwards no multicast', async () => (await forwarding()) === '0');
    const { stdout } = await lab.run('relay', ['ip', 'mroute', 'show', 'table', 'all']);
    expect(stdout).toContain(`(${source},${group})`);
    expect(await send()).toEqual([]);

    // An owner of another table wakes them, which then have no owner of their own.
    await using _scratch = await holdRoutes(lab, 'relay', 'table 77 init');
    expect(await send()).toEqual([forwarded]);
  });
});
