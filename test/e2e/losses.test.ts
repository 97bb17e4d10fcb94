/** What is lost is told to who asks about the relay or the host, with its reason and what to do. */
import { existsSync } from 'node:fs';
import { Host } from '@mcfleet/proto/mcfleet/v1/host';
import type { RelayInstance } from '@mcfleet/proto/mcfleet/v1/relay';
import { expect, it } from 'vitest';
import { PacketCapture } from '../../native/test/forwarder-process.ts';
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
      const output = (await cameraOf(path))?.counters?.outputs[1];
      return (output?.txPackets ?? 0n) + (output?.drops ?? []).reduce((all, { packets }) => all + packets, 0n);
    };
    await expect.poll(sum).toBe(BigInt(carried.sent.sent));
  });

  it('in the queue of an output, later than a send can be told, are counted exactly', async () => {
    // Packet by packet: of a super-frame the kernel counts one that its queue drops.
    await using path = await RelayPath.start('chain', { ipv6: false, agentOptions: ['--transmit', 'sendmmsg'] });
    await path.apply({ camera: path.spec() });
    const queue = async (...argv: string[]): Promise<string> => {
      const { code, stdout, stderr } = await path.lab.run('relay', ['tc', ...argv]);
      if (code !== 0) throw new Error(`tc ${argv.join(' ')} failed: ${stderr}`);
      return stdout;
    };
    // Gives out 1 Mbit/s, throws away the oldest when it is full, and says that it took the newest.
    await queue(...'qdisc add dev veth3 root handle 1: tbf rate 1mbit burst 3000 limit 1000000'.split(' '));
    await queue(...'qdisc add dev veth3 parent 1:1 pfifo_head_drop limit 5'.split(' '));
    const { sent, received } = await path.carry({ count: 2_000, rate: 2_000 });
    const lost = sent.sent - received.received;
    expect(lost).toBeGreaterThan(sent.sent / 2);
    const described = (): Promise<string> => path.fleet.command(['describe', 'relay', 'camera']);
    await expect.poll(described).toContain(`veth3 lost ${lost} packets that it had taken`);
    expect(await described()).toContain('tc -s qdisc show dev veth3');
    const camera = await cameraOf(path);
    expect(camera?.counters?.outputs).toMatchObject([{ txPackets: BigInt(sent.sent), drops: [], up: true }]);
    expect(camera?.outputInterfaces).toMatchObject([
      { interface: 'veth3', drops: [{ reason: 'queue', packets: BigInt(lost) }], startTime: expect.any(Date) },
    ]);
    expect(await path.fleet.command(['get', 'instances', '-o', 'wide'])).toMatch(
      new RegExp(`LOST AFTER.*\n.* ${lost} `),
    );
    expect(await path.fleet.command(['describe', 'host', host])).toMatch(new RegExp(`veth3 +queue ${lost} `));
    expect(await queue('-s', 'qdisc', 'show', 'dev', 'veth3')).toContain(`(dropped ${lost},`);
  });

  it('in a tun that nobody reads are told, and its output warns', async (context) => {
    if (!existsSync('/dev/net/tun')) context.skip('there is no /dev/net/tun');
    await using path = await RelayPath.start('chain', { ipv6: false });
    const tun = await PacketCapture.start(path.lab.realName('relay'), 'tun0', 'silent-tun');
    await path.lab.ip('relay', 'address add 10.7.7.1/24 dev tun0', 'link set tun0 up');
    const toTun = { interface: 'tun0', address: '239.7.7.7' };
    await path.apply({ camera: path.spec({ outputs: [{ address: '239.9.9.9', port: 5099 }, toTun] }) });
    expectAll(await path.carry({ count: 4_000, rate: 4_000 }));
    // Its own queue holds 500 (TUN_READQ_SIZE).
    const lost = async (): Promise<number> => {
      const { stdout } = await path.lab.run('relay', ['ip', '-json', '-stats', 'link', 'show', 'dev', 'tun0']);
      const [link] = JSON.parse(stdout) as { stats64: { tx: { dropped: number } } }[];
      return link?.stats64.tx.dropped ?? 0;
    };
    const told = async (): Promise<unknown> => {
      const drops = (await cameraOf(path))?.outputInterfaces[0]?.drops ?? [];
      return drops.map(({ reason, packets }) => [reason, Number(packets) - kernel]);
    };
    const kernel = await lost();
    expect(kernel).toBeGreaterThanOrEqual(3_500);
    await expect.poll(told).toEqual([['device_dropped', 0]]);
    await expect
      .poll(async () => (await cameraOf(path))?.counters?.outputs)
      .toMatchObject([
        { txPackets: 4_000n, warning: '' },
        { txPackets: 4_000n, drops: [], up: true, warning: 'InterfaceDrops' },
      ]);
    const described = await path.fleet.command(['describe', 'relay', 'camera']);
    expect(described).toMatch(/tun0 +4000 .* yes \(InterfaceDrops\)/);
    expect(described).toContain('ip -s link show dev tun0');
    await tun.end();
  });
});

async function cameraOf(path: RelayPath): Promise<RelayInstance | undefined> {
  return (await path.fleet.instances()).find(({ relay }) => relay === 'relays/camera');
}
