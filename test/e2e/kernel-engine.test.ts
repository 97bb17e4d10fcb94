/** `engine: KERNEL` from the document to the kernel's multicast routes, and to packets counted at the receiver. */
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { Fleet } from '../fleet/fleet.ts';
import { host, RelayPath, type Stream } from '../fleet/relay-path.ts';
import { until } from '../fleet/until.ts';
import { Lab } from '../lab/lab.ts';
import type { LabProcess } from '../lab/process.ts';
import { chain } from '../lab/topologies.ts';
import { describeWithLab, labObstacle } from '../lab/when-possible.ts';
import { expectAll } from './all-arrived.ts';

const rate = 20_000;
const group = '239.1.1.1';
const sender = '10.0.0.1';
/** Kernel relays keep group and port. */
const stream: Stream & { readonly rate: number } = { rate, receivedGroup: group, receivedPort: 5001 };

const anySource = '(0.0.0.0,239.1.1.1) veth1 to veth1 veth3';
const oneSource = '(10.0.0.1,239.1.1.1) veth1 to veth3';

/** Takes the default table, says so, and holds it until it is killed. MRT_INIT of linux/mroute.h. */
const holder = `
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_IGMP)
s.setsockopt(socket.IPPROTO_IP, 200, 1)
print("holds", flush=True)
time.sleep(300)
`;
/** Deletes the route of 10.0.0.1 from another socket than its owner's. MRT_DEL_MFC with struct mfcctl. */
const deleter = `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_IGMP)
control = socket.inet_aton("${sender}") + socket.inet_aton("${group}") + bytes(52)
s.setsockopt(socket.IPPROTO_IP, 205, control)
`;

describeWithLab('engine KERNEL', () => {
  let path: RelayPath;
  beforeAll(async () => {
    if (labObstacle() !== undefined) return;
    path = await RelayPath.start('chain');
    // Kernel relays keep the source: with a strict rp_filter the receiver has to know the way back.
    await path.lab.ip('sink', 'route add 10.0.0.0/24 dev veth2');
  });
  afterEach(async () => {
    if (path === undefined) return;
    for (const name of ['camera', 'other']) await path.fleet.run(['delete', 'relay', name]);
    await until('no route is left', async () => (await routes()).length === 0);
  });
  afterAll(() => path?.[Symbol.asyncDispose]());

  function spec(changes: { readonly sources?: readonly string[]; readonly group?: string } = {}): object {
    const { relay } = path.course;
    return {
      hosts: { names: [host] },
      engine: 'KERNEL',
      input: { interface: relay.input, group, ...changes },
      outputs: [{ interface: relay.output }],
    };
  }

  /**
   * What `ip mroute show table all` says, a route a line. What is unresolved is no route: packets that came between the table and its route,
   * kept by the kernel for ten seconds.
   */
  async function routes(family: '-4' | '-6' = '-4'): Promise<string[]> {
    const { stdout } = await path.lab.run('relay', ['ip', family, 'mroute', 'show', 'table', 'all']);
    const lines = stdout.split('\n').filter((line) => line.startsWith('(') && !line.includes('State: unresolved'));
    return lines
      .map((line) => {
        const [, entry, input, outputs = ''] = /^(\S+)\s+Iif: (\S+)\s+Oifs: (.*?)\s+State: resolved/.exec(line) ?? [];
        return `${entry} ${input} to ${outputs.trim().split(/\s+/).sort().join(' ')}`;
      })
      .sort();
  }

  async function told(relay: string): Promise<string> {
    return await path.fleet.command(['describe', 'relay', relay]);
  }

  it.each([
    ['any source', [], anySource],
    ['one source', [sender], oneSource],
  ])('forwards from the first packet, %s, and tells what it counted', async (_, sources, route) => {
    await path.apply({ camera: spec({ sources }) });
    expect(await routes()).toEqual([route]);
    expectAll(await path.carry({ ...stream, count: 3 * rate }));
    await until('the counters are told', async () => /Received: +60000 packets/.test(await told('camera')));
    expect(await told('camera')).toMatch(/239.1.1.1@veth3 +60000 +\d+ +yes/);
    expect(await told('camera')).toContain('KERNEL (REQUESTED)');
  });

  it('takes no other source, and joins the group for the switches before it', async () => {
    await path.apply({ camera: spec({ sources: ['10.0.0.9'] }) });
    const { received } = await path.carry({ ...stream, count: 1_000 });
    expect(received.received).toBe(0);
    const { stdout } = await path.lab.run('relay', ['cat', '/proc/net/mcfilter']);
    // Index, interface, group, source.
    expect(stdout).toMatch(/veth1 +0xef010101 +0x0a000009/);
  });

  it('loses no packet when agent and controller are killed with -9', async () => {
    await path.apply({ camera: spec() });
    const carried = await path.carryDuring(stream, async () => {
      await Promise.all([path.fleet.controller.kill(), path.fleet.agent(host).kill()]);
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      path.fleet.startController();
      path.fleet.startAgent(host);
      await path.fleet.waitForHosts();
      await path.apply({ other: spec({ group: '239.1.1.2' }) });
    });
    expectAll(carried);
    expect(await routes()).toEqual([anySource, '(0.0.0.0,239.1.1.2) veth1 to veth1 veth3']);
  });

  it('has each route once, and no other, when the data plane was killed and started again', async () => {
    await path.apply({ camera: spec({ sources: [sender, '10.0.0.9'] }), other: spec({ group: '239.1.1.2' }) });
    const before = await routes();
    expect(before).toHaveLength(3);
    const dataplane = path.fleet.dataplanePid(host);
    if (dataplane === undefined) throw new Error('no data plane runs');
    process.kill(dataplane, 'SIGKILL');
    await until('there is another data plane', () => {
      const pid = path.fleet.dataplanePid(host);
      return pid !== undefined && pid !== dataplane;
    });
    await until('its routes are there', async () => (await routes()).length >= 3);
    expect(await routes()).toEqual(before);
    expectAll(await path.carry({ ...stream, count: rate }));
  });

  it('restores a route that another program deletes', async () => {
    await path.apply({ camera: spec({ sources: [sender] }) });
    const { code, stderr } = await path.lab.run('relay', ['python3', '-c', deleter]);
    expect([code, stderr]).toEqual([0, '']);
    await until('it is told', () => path.fleet.agent(host).stderr.includes('restored multicast routes'));
    expect(await routes()).toEqual([oneSource]);
    expectAll(await path.carry({ ...stream, count: rate }));
  });

  it('goes from one engine to the other while packets flow', async () => {
    const outputs = [{ interface: path.course.relay.output, source: 'KEEP' }];
    await path.apply({ camera: spec() });
    const { sent, received } = await path.carryDuring(stream, async () => {
      await path.apply({ camera: { ...spec(), engine: 'USERSPACE', outputs } });
      expect(await routes()).toEqual([]);
      expect(await told('camera')).toContain('USERSPACE (REQUESTED)');
      await path.apply({ camera: spec() });
      expect(await routes()).toEqual([anySource]);
    });
    expect(received).toMatchObject({ first_sequence: 0, last_sequence: sent.sent - 1, corrupt: 0 });
    expectAll(await path.carry({ ...stream, count: rate }));
  });

  it('waits while another program owns the table, and names it', async () => {
    await using other: LabProcess = path.lab.start('relay', ['python3', '-c', holder]);
    await other.waitForOutput(/holds/);
    await path.tryApply({ camera: spec() });
    await until('it is told', async () => (await told('camera')).includes('RoutingTableInUse'));
    expect(await told('camera')).toContain(`python3 (process ${other.pid})`);
    await other.kill();
    await until('it forwards', async () => (await routes()).length === 1);
    expectAll(await path.carry({ ...stream, count: rate }));
  });

  it('waits for an interface that multicast may leave by, and says what to do', async () => {
    await path.lab.ip('relay', 'link set veth3 multicast off');
    await path.tryApply({ camera: spec() });
    const cure = "'ip link set dev veth3 multicast on'";
    await until('it is told', async () => (await told('camera')).includes('InterfaceNotMulticast'));
    expect(await told('camera')).toContain(cure);
    expect(await routes()).toEqual([]);
    await path.lab.ip('relay', 'link set veth3 multicast on');
    await until('it forwards', async () => (await routes()).length === 1);
  });

  it('has a second relay of one source and group wait for the first to go', async () => {
    await path.apply({ camera: spec() });
    await path.lab.addLink({
      a: { namespace: 'relay', interface: 'veth5', addresses: ['10.0.2.1/24'] },
      b: { namespace: 'sink', interface: 'veth4', addresses: ['10.0.2.2/24'] },
    });
    const other = { ...spec({ sources: [sender] }), outputs: [{ interface: 'veth5' }] };
    expect(await path.tryApply({ other })).toMatchObject({ code: 0 });
    await until('it is told', async () => (await told('other')).includes('RouteTaken'));
    expect(await told('other')).toContain('relays/camera takes any source of group 239.1.1.1');
    expect(await routes()).toEqual([anySource]);
    await path.fleet.command(['delete', 'relay', 'camera']);
    await until('it forwards', async () => (await routes()).some((route) => route.includes(sender)));
    expect(await routes()).toEqual([`(${sender},${group}) veth1 to veth5`]);
  });

  it('forwards when an interface is deleted and comes again', async () => {
    await path.apply({ camera: spec() });
    await path.lab.ip('relay', 'link delete veth3');
    await until('the output is missing', async () => (await told('camera')).includes('InterfaceNotFound'));
    await path.lab.addLink({
      a: { namespace: 'relay', interface: 'veth3', addresses: ['10.0.1.1/24'] },
      b: { namespace: 'sink', interface: 'veth2', addresses: ['10.0.1.2/24'] },
    });
    await path.lab.ip('sink', 'route add 10.0.0.0/24 dev veth2');
    await path.fleet.command(['wait', 'relay', 'camera', '--for=ready', '--timeout', '60s']);
    expect(await routes()).toEqual([anySource]);
    expectAll(await path.carry({ ...stream, count: rate }));
  });

  it('forwards IPv6', async () => {
    await path.lab.ip('gen', 'address add 2001:db8:1::1/64 dev veth0 nodad');
    await path.lab.ip('relay', 'address add 2001:db8:1::2/64 dev veth1 nodad');
    await path.apply({ camera: spec({ group: 'ff3e::8000:1' }) });
    expect(await routes('-6')).toEqual(['(::,ff3e::8000:1) veth1 to veth1 veth3']);
    const six = { ...stream, group: 'ff3e::8000:1', receivedGroup: 'ff3e::8000:1' };
    expectAll(await path.carry({ ...six, count: 3 * rate }));
    await path.fleet.command(['delete', 'relay', 'camera']);
    await until('no route is left', async () => (await routes('-6')).length === 0);
  });
});

describeWithLab('engine KERNEL in a table of its own', () => {
  it('forwards beside a program that owns the default one', async () => {
    await using path = await RelayPath.start('chain', { agentOptions: ['--mroute-table', '100'] });
    const { lab } = path;
    await lab.ip('sink', 'route add 10.0.0.0/24 dev veth2');
    await using other: LabProcess = lab.start('relay', ['python3', '-c', holder]);
    await other.waitForOutput(/holds/);
    await lab.ip('relay', 'mrule add iif veth1 lookup 100');
    const input = { interface: 'veth1', group };
    await path.apply({
      camera: { hosts: { names: [host] }, engine: 'KERNEL', input, outputs: [{ interface: 'veth3' }] },
    });
    expectAll(await path.carry({ ...stream, count: rate }));
    const { stdout } = await lab.run('relay', ['ip', 'mroute', 'show', 'table', '100']);
    expect(stdout).toMatch(/^\(0\.0\.0\.0,239\.1\.1\.1\) +Iif: veth1/);
  });
});

describeWithLab('engine KERNEL without CAP_NET_ADMIN', () => {
  it('is refused with the reason', async () => {
    await using lab = await Lab.create(chain());
    const fleet = await Fleet.start(lab, {
      controller: 'relay',
      hosts: { [host]: 'relay' },
      agentCommand: (argv) => ['setpriv', '--bounding-set', '-net_admin', '--inh-caps', '-net_admin', ...argv],
    });
    const path = RelayPath.over(lab, fleet, 'chain');
    const input = { interface: 'veth1', group };
    const relay = { hosts: { names: [host] }, engine: 'KERNEL', input, outputs: [{ interface: 'veth3' }] };
    await path.tryApply({ camera: relay });
    const told = (): Promise<string> => fleet.command(['describe', 'relay', 'camera']);
    await until('it is told', async () => (await told()).includes('EngineUnavailable'));
    expect(await told()).toContain('it was started without CAP_NET_ADMIN');
  });
});
