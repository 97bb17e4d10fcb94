/** The whole path with the real programs: YAML, command, controller, agent, data plane, packets at a receiver. */
import { expect, it } from 'vitest';
import { RelayPath } from '../fleet/relay-path.ts';
import { describeWithLab } from '../lab/when-possible.ts';
import { expectAll } from './all-arrived.ts';

const count = 60_000;

describeWithLab('a stream of 20,000 packets per second', () => {
  it.each(['chain', 'dual-bridge'] as const)(
    'is carried whole through the %s, from any kind of sender',
    async (topology) => {
      await using path = await RelayPath.start(topology);
      await path.apply({ camera: path.spec() });
      expectAll(await path.carry({ count }));
      expectAll(await path.carry({ count, source: '10.99.99.99' }));
      expect(await path.lab.protocolCounter('relay', 'TcpExtIPReversePathFilter')).toBeGreaterThanOrEqual(count);
    },
  );

  it('reaches a silent relay behind a switch that forwards to members only', async () => {
    await using path = await RelayPath.start('dual-bridge', { bridge: { querier: true } });
    await path.apply({ camera: path.spec() });
    // The switch floods until its querier has been there for a response interval (br_multicast_querier_exists).
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    expectAll(await path.carry({ count }));
    await expect
      .poll(async () => (await path.lab.run('relay', ['bridge', '-json', 'mdb', 'show'])).stdout)
      .toContain('239.1.1.1');
  });

  it('is counted by the relay as the receiver counts it', async () => {
    await using path = await RelayPath.start('chain');
    await path.apply({ camera: path.spec() });
    expectAll(await path.carry({ count }));
    await expect
      .poll(async () =>
        (await path.fleet.instances()).map(({ counters }) => [counters?.rxPackets, counters?.outputs[0]?.txPackets]),
      )
      .toEqual([[BigInt(count), BigInt(count)]]);
  });
});
