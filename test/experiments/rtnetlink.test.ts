/**
 * Multicast routes by netlink. Claim: RTM_NEWROUTE with RTN_MULTICAST seems to succeed and never makes a route that works, for it goes to the
 * unicast tables.
 */
import { expect, it } from 'vitest';
import { Lab } from '../lab/lab.ts';
import { chain } from '../lab/topologies.ts';
import { describeExperiment } from './obstacle.ts';
import { Recorder } from './record.ts';
import { holdRoutes, runTool, sendPackets } from './tool.ts';

const flow = { source: '10.0.0.1', group: '239.1.1.1' };

describeExperiment('RTM_NEWROUTE with RTN_MULTICAST', ['nft', 'c++'], () => {
  it('of family AF_INET is accepted and forwards nothing', async () => {
    await using lab = await Lab.create(chain({ ipv6: false }));
    const recorder = await Recorder.start(lab, 'sink', 'veth2');
    await holdRoutes(lab, 'relay', 'init vif 0 veth1 vif 1 veth3');
    expect(await runTool(lab, 'relay', `rtnetlink inet ${flow.source} ${flow.group} veth1 veth3`)).toEqual([
      'rtnetlink: ok',
    ]);
    expect((await lab.run('relay', ['ip', 'route', 'show', 'type', 'multicast'])).stdout).toContain(flow.group);
    await sendPackets(lab, 'gen', 'veth0', flow);
    expect(await recorder.take()).toEqual([]);
  });

  it('of family RTNL_FAMILY_IPMR makes a route that forwards, once there are VIFs', async () => {
    await using lab = await Lab.create(chain({ ipv6: false }));
    const recorder = await Recorder.start(lab, 'sink', 'veth2');
    const add = `rtnetlink ipmr ${flow.source} ${flow.group} veth1 1:1`;
    // VIFs are made by setsockopt only: without one the input is unknown.
    expect(await runTool(lab, 'relay', `init vif 1 veth3 ${add}`)).toEqual([
      'init: ok',
      'vif 1: ok',
      'rtnetlink: ENFILE',
    ]);
    await holdRoutes(lab, 'relay', 'init vif 0 veth1 vif 1 veth3');
    expect(await runTool(lab, 'relay', add)).toEqual(['rtnetlink: ok']);
    expect((await lab.run('relay', ['ip', 'mroute', 'show', 'table', 'all'])).stdout).toMatch(
      /^\(10\.0\.0\.1,239\.1\.1\.1\)\s+Iif: veth1\s+Oifs: veth3/,
    );
    await sendPackets(lab, 'gen', 'veth0', flow);
    expect(await recorder.take()).toEqual([{ source: flow.source, destination: flow.group, ttl: 63, packets: 5 }]);
  });

  it('refuses an output at VIF 31, which setsockopt takes: ipmr_nla_get_ttls (net/ipv4/ipmr.c) stops one next hop too early', async () => {
    await using lab = await Lab.create(chain({ ipv6: false }));
    const last = (vif: number): string =>
      `init vif 0 veth1 vif ${vif} veth3 rtnetlink ipmr ${flow.source} ${flow.group} veth1 ${vif}:1`;
    expect((await runTool(lab, 'relay', last(30))).at(-1)).toBe('rtnetlink: ok');
    expect((await runTool(lab, 'relay', last(31))).at(-1)).toBe('rtnetlink: EINVAL');
    expect(
      (await runTool(lab, 'relay', `init vif 0 veth1 vif 31 veth3 mfc ${flow.source} ${flow.group} 0 31:1`)).at(-1),
    ).toBe('mfc: ok');
  });
});
