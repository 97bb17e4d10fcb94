import { RelayInstance } from '@mcfleet/proto/mcfleet/v1/relay';
import { expect, it } from 'vitest';
import { RateMeter, renderTable } from './table.ts';

function reading(seconds: number, packets: bigint): RelayInstance {
  return RelayInstance.create({
    name: 'hosts/host-a/relayInstances/camera',
    relay: 'relays/camera',
    host: 'hosts/host-a',
    countersTime: new Date(seconds * 1000),
    counters: {
      rxPackets: packets + 3n,
      drops: [{ reason: 'malformed', packets: 1n }],
      outputs: [{ output: '239.10.10.10:6001@eth1', txPackets: packets, drops: [{ reason: 'mtu', packets: 2n }] }],
    },
  });
}

it('counts the rate between two readings of the host, not between two looks at the same reading', () => {
  const meter = new RateMeter();
  const rates = [
    reading(1, 1_000n),
    reading(1, 1_000n),
    reading(3, 11_000n),
    reading(3, 11_000n),
    reading(4, 11_000n),
  ].map((instance) => meter.rows([instance])[0]?.packetsPerSecond);
  expect(rates).toEqual([0, 0, 5_000, 5_000, 0]);
});

it('shows one line per output, with all drops', () => {
  const rows = new RateMeter().rows([reading(1, 12_345n)]);
  expect(renderTable(rows)).toEqual([
    'RELAY   HOST    OUTPUT                       IN      OUT  PACKETS/S  DROPPED',
    'camera  host-a  239.10.10.10:6001@eth1   12,348   12,345          0        3',
  ]);
});
