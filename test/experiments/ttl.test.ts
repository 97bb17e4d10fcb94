/** Which TTL a packet needs, and which it leaves with: kernel routes against relays of the userspace engine. */
import { expect, it } from 'vitest';
import { Fleet } from '../fleet/fleet.ts';
import { relayDocuments } from '../fleet/relay-path.ts';
import { Lab } from '../lab/lab.ts';
import { chain } from '../lab/topologies.ts';
import { describeExperiment } from './obstacle.ts';
import { Recorder } from './record.ts';
import { holdRoutes, sendPackets } from './tool.ts';

const source = '10.0.0.1';
const arriving = [1, 2, 3, 8, 9, 64, 255];
const thresholds = [1, 2, 8, 254, 255];
const group = (threshold: number): string => `239.1.1.${threshold}`;

describeExperiment('TTL of multicast', ['nft', 'c++'], () => {
  it('the kernel forwards what has more than the threshold, 255 never, and lowers the TTL by one', async () => {
    await using lab = await Lab.create(chain({ ipv6: false }));
    const routes = thresholds.map((threshold) => `mfc ${source} ${group(threshold)} 0 1:${threshold}`);
    await holdRoutes(lab, 'relay', `init vif 0 veth1 vif 1 veth3 ${routes.join(' ')}`);
    const recorder = await Recorder.start(lab, 'sink', 'veth2');
    await sendPackets(
      lab,
      'gen',
      'veth0',
      ...thresholds.flatMap((threshold) => arriving.map((ttl) => ({ source, group: group(threshold), ttl }))),
    );
    const expected = thresholds.flatMap((threshold) =>
      arriving
        .filter((ttl) => threshold !== 255 && ttl > threshold)
        .map((ttl) => ({ source, destination: group(threshold), ttl: ttl - 1, packets: 5 })),
    );
    const seen = await recorder.take();
    expect(seen).toHaveLength(expected.length);
    expect(seen).toEqual(expect.arrayContaining(expected));
  });

  it('a relay of the userspace engine lowers it to 1 at the lowest, and takes from minTtl on', async () => {
    await using lab = await Lab.create(chain({ ipv6: false }));
    const fleet = await Fleet.start(lab, { controller: 'relay', hosts: { 'edge-1': 'relay' } });
    const minTtls = [undefined, 2, 9, 255];
    const relay = (minTtl: number | undefined, i: number): [string, object] => [
      `relay-${i}`,
      {
        hosts: { names: ['edge-1'] },
        engine: 'USERSPACE',
        input: { interface: 'veth1', group: group(i) },
        outputs: [{ interface: 'veth3', source: 'KEEP' }],
        ...(minTtl === undefined ? {} : { loopProtection: { minTtl } }),
      },
    ];
    const documents = relayDocuments(Object.fromEntries(minTtls.map(relay)));
    await fleet.command(['apply', '-f', '-', '--wait'], { input: documents });
    const recorder = await Recorder.start(lab, 'sink', 'veth2');
    await sendPackets(
      lab,
      'gen',
      'veth0',
      ...minTtls.flatMap((_, i) => arriving.map((ttl) => ({ source, group: group(i), ttl }))),
    );
    const expected = new Map<string, number>();
    minTtls.forEach((minTtl = 1, i) => {
      for (const ttl of arriving.filter((one) => one >= minTtl)) {
        const key = `${group(i)} ${Math.max(1, ttl - 1)}`;
        expected.set(key, (expected.get(key) ?? 0) + 5);
      }
    });
    const seen = new Map<string, number>();
    await expect
      .poll(async () => {
        for (const { destination, ttl, packets } of await recorder.take()) {
          const key = `${destination} ${ttl}`;
          seen.set(key, (seen.get(key) ?? 0) + packets);
        }
        return [...seen].sort();
      })
      .toEqual([...expected].sort());
  });
});
