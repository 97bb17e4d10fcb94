/**
 * Another source for multicast, so that it passes the reverse path filter. Claims: SNAT in prerouting is refused ("Operation not
 * supported"), because connection tracking refuses incoming multicast; so an unroutable source cannot be changed in the kernel.
 */
import { expect, it } from 'vitest';
import { Lab } from '../lab/lab.ts';
import { chain } from '../lab/topologies.ts';
import { describeExperiment } from './obstacle.ts';
import { addRules, Recorder } from './record.ts';
import { holdRoutes, sendPackets } from './tool.ts';

const unroutable = '10.99.99.99';
const group = '239.1.1.1';

async function start(source: string): Promise<{ lab: Lab; recorder: Recorder }> {
  const lab = await Lab.create(chain({ ipv6: false, rpFilter: 1 }));
  await holdRoutes(lab, 'relay', `init vif 0 veth1 vif 1 veth3 mfc ${source} ${group} 0 1:1`);
  return { lab, recorder: await Recorder.start(lab, 'sink', 'veth2') };
}

describeExperiment('another source for multicast', ['nft', 'c++'], () => {
  it('snat in prerouting is refused, for unicast as well: it is not about multicast', async () => {
    await using lab = await Lab.create(chain({ ipv6: false }));
    for (const destination of [group, '192.0.2.1']) {
      const rules = `table ip nat { chain prerouting { type nat hook prerouting priority -150;
        ip saddr ${unroutable} ip daddr ${destination} snat to 10.0.0.9; }\n}\n`;
      const { code, stderr } = await lab.run('relay', ['nft', '-f', '-'], { input: rules });
      expect(code).toBe(1);
      expect(stderr).toContain('Operation not supported');
    }
  });

  it('snat in postrouting changes the source of what is forwarded: connection tracking takes multicast', async () => {
    const source = '10.0.0.1';
    const { lab: started, recorder } = await start(source);
    await using lab = started;
    await addRules(
      lab,
      'relay',
      `table ip nat { chain out { type nat hook postrouting priority 100; ip daddr ${group} snat to 10.0.1.9; }\n}\n`,
    );
    await sendPackets(lab, 'gen', 'veth0', { source, group });
    expect(await recorder.take()).toEqual([{ source: '10.0.1.9', destination: group, ttl: 63, packets: 5 }]);
  });

  it('does not help against the reverse path filter, which comes before it', async () => {
    const { lab: started, recorder } = await start(unroutable);
    await using lab = started;
    await addRules(
      lab,
      'relay',
      `table ip nat { chain out { type nat hook postrouting priority 100; ip daddr ${group} snat to 10.0.1.9; }\n}\n`,
    );
    await sendPackets(lab, 'gen', 'veth0', { source: unroutable, group });
    expect(await recorder.take()).toEqual([]);
    expect(await lab.protocolCounter('relay', 'TcpExtIPReversePathFilter')).toBe(5);
  });

  it('written into packets in prerouting, without connection tracking, lets them pass the filter', async () => {
    const routable = '10.0.0.9';
    const { lab: started, recorder } = await start(routable);
    await using lab = started;
    await addRules(
      lab,
      'relay',
      `table ip raw { chain in { type filter hook prerouting priority -300; ip saddr ${unroutable} ip saddr set ${routable}; }\n}\n`,
    );
    await sendPackets(lab, 'gen', 'veth0', { source: unroutable, group });
    expect(await recorder.take()).toEqual([{ source: routable, destination: group, ttl: 63, packets: 5 }]);
    expect(await lab.protocolCounter('relay', 'TcpExtIPReversePathFilter')).toBe(0);
  });
});
