/** What is lost is told to who asks about the relay or the host, with its reason and what to do. */
import { Host } from '@mcfleet/proto/mcfleet/v1/host';
import { expect, it } from 'vitest';
import { host, RelayPath } from '../fleet/relay-path.ts';
import { until } from '../fleet/until.ts';
import { describeWithLab } from '../lab/when-possible.ts';
import { expectAll } from './all-arrived.ts';

/** As many packets as the receive ring holds (mcfleet dataplane --help, --ring-ms). */
const ringPackets = 37_500;

describeWithLab('packets that are lost', () => {
  it('in the receive ring while the data plane stands still are counted exactly', async () => {
    await using path = await RelayPath.start('chain');
    await path.apply({ camera: path.spec() });
    expectAll(await path.carry({ count: 1_000 }));
    // Counters follow within a second, where nothing else keeps the machine busy.
    const described = (): Promise<string> => path.fleet.command(['describe', 'relay', 'camera']);
    await expect.poll(described).toMatch(/Lost before: +0 in the receive ring/);
    const { sent, received } = await path.carryDuring({ rate: 30_000, size: 100 }, async () => {
      const dataplane = path.fleet.dataplanePid(host);
      if (dataplane === undefined) throw new Error('no data plane runs');
      const arrived = async (): Promise<number> => (await path.lab.interfaceCounters('relay', 'veth1')).rxPackets;
      process.kill(dataplane, 'SIGSTOP');
      const before = await arrived();
      await until('the ring has been full', async () => (await arrived()) - before > 2 * ringPackets);
      process.kill(dataplane, 'SIGCONT');
    });
    const lost = sent.sent - received.received;
    expect(lost).toBeGreaterThan(0);
    const told = `edge-1 lost ${lost} packets in the receive ring of veth1`;
    await expect.poll(described).toContain(told);
    const json = await path.fleet.command(['get', 'host', host, '-o', 'json']);
    expect(Host.fromJSON(JSON.parse(json)).status?.inputs).toMatchObject([
      { interface: 'veth1', kernelDrops: BigInt(lost), lastKernelDropTime: expect.any(Date) },
    ]);
    expect(await path.fleet.command(['describe', 'host', host])).toMatch(
      new RegExp(`Inputs:\n.*LOST IN RING.*\n +veth1 +[0-9]+ +${lost} `),
    );
    expect(await path.fleet.command(['get', 'instances', '-o', 'wide'])).toMatch(new RegExp(` ${lost} `));
  });

  it('at an output are told with the reason when it drops all of them', async () => {
    await using path = await RelayPath.start('chain');
    await path.lab.ip('relay', 'link set veth3 mtu 1000');
    await path.apply({ camera: path.spec({ outputs: [{ address: '239.9.9.9', port: 5099, oversize: 'DROP' }] }) });
    expect((await path.carry({ count: 100, rate: 1_000 })).received).toMatchObject({ received: 0 });
    await expect
      .poll(() => path.fleet.command(['describe', 'relay', 'camera']))
      .toContain('- edge-1: output 239.9.9.9:5099@veth3 dropped every packet (mtu 100)');
  });

  it('since a unicast receiver is not there are told, and it is sent to by itself when it comes', async () => {
    await using path = await RelayPath.start('chain');
    const absent = { address: '10.0.1.77' };
    await path.apply({ camera: path.spec({ outputs: [{ address: '239.9.9.9', port: 5099 }, absent] }) });
    const described = (): Promise<string> => path.fleet.command(['describe', 'relay', 'camera']);
    const carried = await path.carryDuring({ rate: 1_000 }, async () => {
      await expect.poll(described).toContain('does not forward (NoNeighbour); the others do');
      await expect.poll(described).toMatch(/dropped every packet \(no_neighbour \d+\).*Nobody answers there/);
      await path.lab.ip('sink', 'address add 10.0.1.77/24 dev veth2');
      await expect.poll(described).not.toContain('NoNeighbour');
    });
    expectAll(carried);
    // Each is counted as sent or as dropped.
    const sum = async (): Promise<bigint> => {
      const camera = (await path.fleet.instances()).find(({ relay }) => relay === 'relays/camera');
      const output = camera?.counters?.outputs[1];
      return (output?.txPackets ?? 0n) + (output?.drops ?? []).reduce((all, { packets }) => all + packets, 0n);
    };
    await expect.poll(sum).toBe(BigInt(carried.sent.sent));
  });
});
