/** How many interfaces the kernel routes between. Claim: 32 at most, so that a hub serves 31 branches. */
import { expect, it } from 'vitest';
import { Lab } from '../lab/lab.ts';
import { describeExperiment } from './obstacle.ts';
import { Recorder } from './record.ts';
import { holdRoutes, runTool, sendPackets } from './tool.ts';

const count = 40;
const group = '239.1.1.1';

describeExperiment('interfaces of multicast routing', ['nft', 'c++'], () => {
  it('are 32 per table, and more over two tables: 40 outputs get every packet of two inputs', async () => {
    const outputs = Array.from({ length: count }, (_, i) => i);
    await using lab = await Lab.create({
      namespaces: { gen: {}, relay: {}, sink: {} },
      links: [
        ...[0, 1].map((i) => ({
          a: { namespace: 'gen', interface: `in${i}`, addresses: [`10.0.${i}.1/24`] },
          b: { namespace: 'relay', interface: `in${i}`, addresses: [`10.0.${i}.2/24`] },
        })),
        ...outputs.map((i) => ({
          a: { namespace: 'relay', interface: `out${i}`, addresses: [`10.1.${i}.1/24`] },
          b: { namespace: 'sink', interface: `out${i}`, addresses: [`10.1.${i}.2/24`] },
        })),
      ],
    });
    const vifs = (input: number, of: readonly number[]): string =>
      [`vif 0 in${input}`, ...of.map((output, i) => `vif ${i + 1} out${output}`)].join(' ');
    const added = await runTool(lab, 'relay', `init ${vifs(0, outputs)}`);
    expect(added.filter((line) => line.endsWith(': ok')).length).toBe(1 + 32);
    expect(added.slice(33)).toEqual(Array.from({ length: count - 31 }, (_, i) => `vif ${32 + i}: ENFILE`));

    // Each table routes from an input of its own, half of the outputs each; both inputs get the same packets.
    await lab.ip('relay', 'mrule add iif in0 lookup 100', 'mrule add iif in1 lookup 101');
    for (const input of [0, 1]) {
      const half = outputs.slice((input * count) / 2, ((input + 1) * count) / 2);
      const to = half.map((_, i) => `${i + 1}:1`).join(',');
      await holdRoutes(
        lab,
        'relay',
        `table ${100 + input} init ${vifs(input, half)} mfc 10.0.${input}.1 ${group} 0 ${to}`,
      );
    }
    const recorder = await Recorder.start(lab, 'sink', 'out*');
    for (const input of [0, 1])
      await sendPackets(lab, 'gen', `in${input}`, { source: `10.0.${input}.1`, group, count: 100 });
    const seen = await recorder.take();
    expect(seen).toHaveLength(count);
    expect(seen).toEqual(
      expect.arrayContaining(
        outputs.map((output) => ({
          source: output < count / 2 ? '10.0.0.1' : '10.0.1.1',
          destination: group,
          ttl: 63,
          packets: 100,
          device: `out${output}`,
        })),
      ),
    );
  });
});
