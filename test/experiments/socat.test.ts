/**
 * socat as a relay. Claim: in the dual bridge it forwards 0 of 5 packets, with ip-multicast-if as with a multicast route, which proves that
 * sockets cannot do it there.
 */
import { expect, it } from 'vitest';
import { Lab } from '../lab/lab.ts';
import { chain, dualBridge } from '../lab/topologies.ts';
import { describeExperiment } from './obstacle.ts';
import { sendPackets } from './tool.ts';

/** Where socat runs, and what sends to it and receives from it. */
interface Place {
  readonly gen: readonly [namespace: string, device: string, address: string];
  readonly relay: readonly [namespace: string, input: string, output: string, outputAddress: string];
  readonly sink: readonly [namespace: string, device: string];
}

const places = {
  chain: {
    gen: ['gen', 'veth0', '10.0.0.1'],
    relay: ['relay', 'veth1', 'veth3', '10.0.1.1'],
    sink: ['sink', 'veth2'],
  },
  'dual bridge': {
    gen: ['gen', 'veth-gen', '10.0.0.10'],
    relay: ['relay', 'veth-mcr0', 'veth-mcr1', '10.0.1.20'],
    sink: ['sink', 'veth-sink'],
  },
  'dual bridge in one namespace': {
    gen: ['all', 'veth-gen', '10.0.0.10'],
    relay: ['all', 'veth-mcr0', 'veth-mcr1', '10.0.1.20'],
    sink: ['all', 'veth-sink'],
  },
} as const satisfies Record<string, Place>;

/** The same switches, with generator, relay and sink in one network namespace, as the founding documents call their dual bridge. */
function oneNamespace(): Parameters<typeof Lab.create>[0] {
  const { namespaces, links } = dualBridge({ ipv6: false });
  const inAll = <End extends { readonly namespace: string }>(end: End): End => ({ ...end, namespace: 'all' });
  return {
    namespaces: { all: { ...namespaces.relay, routes: [] } },
    links: links.map((link) => ({ ...link, a: inAll(link.a), b: inAll(link.b) })),
  };
}

/** Waits until a program has joined groups on an interface. */
async function joined(lab: Lab, namespace: string, device: string, group: string): Promise<void> {
  await expect
    .poll(async () => (await lab.run(namespace, ['ip', 'maddr', 'show', 'dev', device])).stdout, { interval: 50 })
    .toContain(group);
}

/** Sends five packets through socat: as many as are expected reach a socket behind it. */
async function expectRelayed(lab: Lab, { gen, relay, sink }: Place, options: string, expected: 0 | 5): Promise<void> {
  const [sinkNamespace, sinkDevice] = sink;
  const target = `UDP4-RECV:5099,ip-add-membership=239.9.9.9:${sinkDevice}`;
  await using receiver = lab.start(sinkNamespace, ['socat', '-u', target, '-']);
  const [namespace, input] = relay;
  const from = `UDP4-RECV:5001,ip-add-membership=239.1.1.1:${input},reuseaddr`;
  await using _program = lab.start(namespace, ['socat', '-u', from, `UDP4-SEND:239.9.9.9:5099${options}`]);
  await joined(lab, sinkNamespace, sinkDevice, '239.9.9.9');
  await joined(lab, namespace, input, '239.1.1.1');
  await sendPackets(lab, gen[0], gen[1], { source: gen[2], group: '239.1.1.1' });
  // Eight bytes each.
  const received = (): number => Buffer.byteLength(receiver.stdout, 'latin1') / 8;
  if (expected > 0) await expect.poll(received).toBe(expected);
  // What comes at once elsewhere does not come here, nor twice.
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(received()).toBe(expected);
}

const ways = {
  bind: ({ relay }: Place) => `,bind=${relay[3]}`,
  'ip-multicast-if': ({ relay }: Place) => `,ip-multicast-if=${relay[3]}`,
  'a multicast route': () => '',
} as const;

describeExperiment('socat', ['socat', 'c++'], () => {
  for (const name of ['chain', 'dual bridge'] as const) {
    it.each(Object.entries(ways))(`forwards all of 5 packets in the ${name} with %s`, async (way, options) => {
      await using lab = await Lab.create(name === 'chain' ? chain({ ipv6: false }) : dualBridge({ ipv6: false }));
      const place = places[name];
      if (way === 'a multicast route') await lab.ip('relay', `route add 224.0.0.0/4 dev ${place.relay[2]}`);
      await expectRelayed(lab, place, options(place), 5);
    });
  }

  it('forwards nothing if no option and no route chooses the interface', async () => {
    await using lab = await Lab.create(chain({ ipv6: false }));
    await expectRelayed(lab, places.chain, '', 0);
  });

  it('gets nothing with generator and sink in its own namespace: packets from own addresses are dropped on arrival', async () => {
    await using lab = await Lab.create(oneNamespace());
    const place = places['dual bridge in one namespace'];
    for (const options of [ways.bind(place), ways['ip-multicast-if'](place)])
      await expectRelayed(lab, place, options, 0);
    await lab.ip('all', `route add 224.0.0.0/4 dev ${place.relay[2]}`);
    await expectRelayed(lab, place, '', 0);

    // The same packets, taken: nothing but the check of the source was in the way.
    const settings = ['all', place.relay[1], place.sink[1]].flatMap((of) => [
      `net.ipv4.conf.${of}.rp_filter=0`,
      `net.ipv4.conf.${of}.accept_local=1`,
    ]);
    expect((await lab.run('all', ['sysctl', '-q', '-w', ...settings])).code).toBe(0);
    await expectRelayed(lab, place, ways.bind(place), 5);
  });
});
