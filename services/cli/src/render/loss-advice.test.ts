import { Host } from '@mcfleet/proto/mcfleet/v1/host';
import { InstanceState, Relay, RelayInstance } from '@mcfleet/proto/mcfleet/v1/relay';
import { describe, expect, it } from 'vitest';
import { describeHost } from './describe-host.ts';
import { describeRelay } from './describe-relay.ts';
import { instanceColumns } from './instance-view.ts';
import { noPaint } from './paint.ts';
import { Table } from './table.ts';

const now = Date.UTC(2026, 0, 2, 3, 4, 5);
const ago = (seconds: number): Date => new Date(now - seconds * 1000);
const relay = Relay.fromPartial({ name: 'relays/camera-7' });
const instance = RelayInstance.fromPartial({
  relay: 'relays/camera-7',
  host: 'hosts/edge-1',
  state: InstanceState.READY,
  counters: { rxPackets: 1000n },
});
const wideTable = (one: RelayInstance): string => {
  const columns = instanceColumns(() => now, true);
  return new Table(columns, noPaint).rows([one]);
};

describe('losses', () => {
  it('what to do about packets that the input interface loses', () => {
    const drops = [{ reason: 'malformed_udp_length', packets: 3n }];
    const losing = (seconds: number): RelayInstance =>
      RelayInstance.fromPartial({
        ...instance,
        input: {
          interface: 'eth0',
          kernelDrops: 42_590n,
          drops,
          lastKernelDropTime: ago(seconds),
          lastDropTime: ago(seconds),
        },
      });
    const shown = describeRelay(relay, [losing(5)], now);
    expect(shown).toContain(
      'Lost before:  42590 in the receive ring of eth0, 3 were no usable datagrams (malformed_udp_length 3); of all relays',
    );
    expect(shown).toContain('- edge-1 lost 42590 packets in the receive ring of eth0, the last 5s ago: ');
    expect(shown).toContain(
      '- edge-1 got packets on eth0 that are no usable datagrams: malformed_udp_length 3, the last 5s',
    );
    const crowded = RelayInstance.fromPartial({
      ...instance,
      input: { interface: 'eth0', drops: [{ reason: 'too_many_fragments', packets: 7n }], lastDropTime: ago(5) },
    });
    expect(describeRelay(relay, [crowded], now)).toContain(
      'too_many_fragments 7, the last 5s ago. More datagrams in fragments are under way at once',
    );
    const later = describeRelay(relay, [losing(3600)], now);
    expect(later).toContain('42590 in the receive ring');
    expect(later).not.toContain('What to do');
    expect(wideTable(losing(5))).toContain(' 42593 ');
    const host = Host.fromPartial({ name: 'hosts/edge-1', status: { inputs: [losing(5).input ?? {}] } });
    expect(describeHost(host, [], now)).toContain(`Inputs:
  NAME  PACKETS  LOST IN RING  NO RELAY  UNUSABLE                LAST LOSS
  eth0        0         42590         0  malformed_udp_length 3  5s
`);
  });

  it('what to do about packets that the interface of an output takes and loses', () => {
    const losing = (drops: Readonly<Record<string, bigint>>, seconds: number): RelayInstance =>
      RelayInstance.fromPartial({
        ...instance,
        counters: {
          rxPackets: 9n,
          outputs: [{ output: 'x@eth1', txPackets: 9n, up: true, warning: 'InterfaceDrops' }],
        },
        outputInterfaces: [
          {
            interface: 'eth1',
            drops: Object.entries(drops).map(([reason, packets]) => ({ reason, packets, lastDropTime: ago(seconds) })),
            lastDropTime: ago(seconds),
          },
          { interface: 'eth2' },
        ],
      });
    const queue = losing({ queue: 3991n }, 5);
    const shown = describeRelay(relay, [queue], now);
    expect(shown).toContain(
      'Lost after:   3991 in eth1 (queue 3991), 0 in eth2; of all that leaves there, other programs',
    );
    expect(shown).toMatch(/x@eth1 +9 +0 +yes \(InterfaceDrops\) /);
    expect(shown).toContain(
      '- edge-1: eth1 lost 3991 packets that it had taken, of relays or other programs (queue 3991), the last 5s ago. Its queue is',
    );
    expect(shown).toContain('tc -s qdisc show dev eth1.');
    expect(shown).not.toContain('forwards with a warning');
    expect(describeRelay(relay, [losing({ device_dropped: 7n }, 5)], now)).toContain(
      'see who takes them from it, and ip -s link show dev eth1.',
    );
    expect(describeRelay(relay, [losing({ device_error: 7n }, 5)], now)).toContain('its driver');
    const later = describeRelay(relay, [losing({ queue: 3991n }, 3600)], now);
    expect(later).toContain('3991 in eth1');
    expect(later).not.toContain('What to do');
    const row = wideTable(queue);
    expect(row).toMatch(/ 3991 .* x@eth1: InterfaceDrops\n$/);
    const host = Host.fromPartial({ name: 'hosts/edge-1', status: { outputs: queue.outputInterfaces } });
    expect(describeHost(host, [], now)).toContain(`Outputs:
  NAME  LOST        LAST LOSS
  eth1  queue 3991  5s
  eth2  0           -
`);
  });

  it('what to do about an output that drops everything, or drops still', () => {
    const dropping = (txPackets: bigint, reason: string, lastDropTime?: Date): string => {
      const output = { output: 'x@eth1', txPackets, up: true, drops: [{ reason, packets: 10n }], lastDropTime };
      return describeRelay(relay, [RelayInstance.fromPartial({ ...instance, counters: { outputs: [output] } })], now);
    };
    expect(dropping(0n, 'mtu')).toContain(
      '- edge-1: output x@eth1 dropped every packet (mtu 10). The copies are longer',
    );
    expect(dropping(30n, 'not_permitted', ago(5))).toContain(
      '- edge-1: output x@eth1 dropped 10 of 40 packets (not_permitted 10), the last 5s ago. The kernel forbids',
    );
    const absent = { output: 'x@eth1', txPackets: 0n, up: false, downReason: 'NoNeighbour' };
    const outputs = [{ ...absent, drops: [{ reason: 'no_neighbour', packets: 10n }], lastDropTime: ago(5) }];
    expect(describeRelay(relay, [RelayInstance.fromPartial({ ...instance, counters: { outputs } })], now)).toContain(
      '- edge-1: output x@eth1 dropped every packet (no_neighbour 10), the last 5s ago. Nobody answers there',
    );
    expect(dropping(30n, 'mtu', ago(3600))).not.toContain('output x@eth1 dropped');
    expect(dropping(30n, 'mtu')).not.toContain('output x@eth1 dropped');
  });

  it('what to do about an output that forwards with a warning', () => {
    const warned = (warning: string): string => {
      const output = { output: 'x@eth1', txPackets: 3n, up: true, warning };
      return describeRelay(
        relay,
        [RelayInstance.fromPartial({ ...instance, counters: { rxPackets: 3n, outputs: [output] } })],
        now,
      );
    };
    expect(warned('')).not.toContain('What to do');
    expect(warned('LinkLocalSource')).toMatch(/x@eth1 +3 +0 +yes \(LinkLocalSource\) /);
    expect(warned('LinkLocalSource')).toContain(
      '- edge-1: output x@eth1 sends from a link-local address, for its interface has no other one',
    );
    // Of a later version.
    expect(warned('Odd')).toContain('- edge-1: output x@eth1 forwards with a warning: Odd.');
  });

  it('what to do about the reason for which an output dropped last, though it dropped more for another', () => {
    const dropping = (...drops: [reason: string, packets: bigint, seconds: number][]): string => {
      const output = {
        output: 'x@eth1',
        txPackets: 2000n,
        up: true,
        drops: drops.map(([reason, packets, seconds]) => ({ reason, packets, lastDropTime: ago(seconds) })),
        lastDropTime: ago(Math.min(...drops.map(([, , seconds]) => seconds))),
      };
      return describeRelay(relay, [RelayInstance.fromPartial({ ...instance, counters: { outputs: [output] } })], now);
    };
    expect(dropping(['interface_down', 2000n, 90], ['mtu', 100n, 3])).toContain(
      'dropped 2100 of 4100 packets (interface_down 2000, mtu 100), the last 3s ago (mtu). The copies are longer',
    );
    expect(dropping(['interface_down', 2000n, 3], ['mtu', 100n, 3])).toContain('(interface_down). The interface was');
  });
});
