/**
 * Which sources pass the reverse path filter, by its mode: kernel routes against a relay of the userspace engine. Claims: mode 0 checks
 * nothing, 1 wants the route to the source on the arriving interface, 2 any route; what receives at AF_PACKET is not subject to it.
 */
import { expect, it } from 'vitest';
import { Fleet } from '../fleet/fleet.ts';
import { relayDocuments } from '../fleet/relay-path.ts';
import { Lab } from '../lab/lab.ts';
import { chain } from '../lab/topologies.ts';
import { describeExperiment } from './obstacle.ts';
import { Recorder } from './record.ts';
import { holdRoutes, sendPackets } from './tool.ts';

const sources = {
  routable: '10.0.0.1',
  'routable by another interface': '10.0.1.77',
  unroutable: '10.99.99.99',
  'an address of the relay itself': '10.0.1.1',
} as const;
type Kind = keyof typeof sources;
const kinds = Object.keys(sources) as Kind[];
const group = '239.1.1.1';

/** What the kernel forwards. */
const passing: Readonly<Record<0 | 1 | 2, readonly Kind[]>> = {
  0: ['routable', 'routable by another interface', 'unroutable'],
  1: ['routable'],
  2: ['routable', 'routable by another interface'],
};
const modes = [0, 1, 2] as const;

/** Sends from every source with each mode: those named arrive whole, and no other. */
async function expectArriving(lab: Lab, expected: Readonly<Record<0 | 1 | 2, readonly Kind[]>>): Promise<void> {
  const recorder = await Recorder.start(lab, 'sink', 'veth2');
  for (const mode of modes) {
    const settings = ['all', 'veth1', 'veth3'].map((name) => `net.ipv4.conf.${name}.rp_filter=${mode}`);
    expect((await lab.run('relay', ['sysctl', '-q', '-w', ...settings])).code).toBe(0);
    await sendPackets(lab, 'gen', 'veth0', ...kinds.map((kind) => ({ source: sources[kind], group })));
    const arrived = new Map<string, number>();
    const take = async (): Promise<[string, number][]> => {
      for (const { source, packets } of await recorder.take())
        arrived.set(source, (arrived.get(source) ?? 0) + packets);
      return [...arrived].sort();
    };
    const whole = expected[mode].map((kind): [string, number] => [sources[kind], 5]).sort();
    await expect.poll(take, { message: `mode ${mode}` }).toEqual(whole);
    // Nor does more come afterwards.
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await take(), `mode ${mode}`).toEqual(whole);
  }
}

describeExperiment('the reverse path filter', ['nft', 'c++'], () => {
  it("drops in the kernel what has no route as its mode wants, and the host's own addresses in every mode", async () => {
    await using lab = await Lab.create(chain({ ipv6: false }));
    const routes = kinds.map((kind) => `mfc ${sources[kind]} ${group} 0 1:1`);
    await holdRoutes(lab, 'relay', `init vif 0 veth1 vif 1 veth3 ${routes.join(' ')}`);
    await expectArriving(lab, passing);
  });

  it('drops nothing of a relay of the userspace engine', async () => {
    await using lab = await Lab.create(chain({ ipv6: false }));
    const fleet = await Fleet.start(lab, { controller: 'relay', hosts: { 'edge-1': 'relay' } });
    const spec = {
      hosts: { names: ['edge-1'] },
      engine: 'USERSPACE',
      input: { interface: 'veth1', group },
      outputs: [{ interface: 'veth3', source: 'KEEP' }],
    };
    await fleet.command(['apply', '-f', '-', '--wait'], { input: relayDocuments({ all: spec }) });
    await expectArriving(lab, { 0: kinds, 1: kinds, 2: kinds });
  });
});
