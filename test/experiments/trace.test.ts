/**
 * Where a packet goes in the kernel. Claim: "nft monitor trace" tells, and shows that the reverse path filter comes after prerouting and
 * before input.
 */
import { expect, it } from 'vitest';
import { Lab } from '../lab/lab.ts';
import { chain } from '../lab/topologies.ts';
import { describeExperiment } from './obstacle.ts';
import { addRules, Recorder } from './record.ts';
import { holdRoutes, sendPackets } from './tool.ts';

const group = '239.1.1.1';
const hooks = ['prerouting', 'input', 'forward', 'postrouting'] as const;
const rules = `table ip watch { ${hooks.map((hook) => `chain ${hook} { type filter hook ${hook} priority 0; ip daddr ${group} meta nftrace set 1; }`).join('\n')}\n}\n`;

describeExperiment('nft monitor trace', ['nft', 'c++'], () => {
  it('shows forwarded multicast at prerouting, forward and postrouting, and filtered multicast at prerouting alone', async () => {
    await using lab = await Lab.create(chain({ ipv6: false, rpFilter: 1 }));
    const sources = { routable: '10.0.0.1', unroutable: '10.99.99.99' };
    const routes = Object.values(sources).map((source) => `mfc ${source} ${group} 0 1:1`);
    await holdRoutes(lab, 'relay', `init vif 0 veth1 vif 1 veth3 ${routes.join(' ')}`);
    const recorder = await Recorder.start(lab, 'sink', 'veth2');
    await addRules(lab, 'relay', rules);
    const monitor = lab.start('relay', ['nft', 'monitor', 'trace']);
    const seenAt = (source: string): string[] => {
      const ids = [...monitor.stdout.matchAll(/^trace id (\w+) ip watch \w+ packet: .*ip saddr (\S+) /gm)];
      const mine = new Set(ids.filter(([, , from]) => from === source).map(([, id]) => id));
      const chains = [...monitor.stdout.matchAll(/^trace id (\w+) ip watch (\w+) packet:/gm)];
      return chains.filter(([, id]) => mine.has(id)).map(([, , chain = '']) => chain);
    };
    // It does not say when it listens: until it has shown a first packet, there is no telling.
    await expect
      .poll(async () => {
        await sendPackets(lab, 'gen', 'veth0', { source: '10.0.0.7', group, count: 1 });
        return seenAt('10.0.0.7').length;
      })
      .toBeGreaterThan(0);
    await sendPackets(lab, 'gen', 'veth0', { source: sources.unroutable, group, count: 1 });
    await sendPackets(lab, 'gen', 'veth0', { source: sources.routable, group, count: 1 });
    await expect.poll(() => seenAt(sources.routable)).toEqual(['prerouting', 'forward', 'postrouting']);
    // It was sent before, and events come in order.
    expect(seenAt(sources.unroutable)).toEqual(['prerouting']);
    expect(await recorder.take()).toEqual([{ source: sources.routable, destination: group, ttl: 63, packets: 1 }]);
    await monitor.stop();
  });
});
