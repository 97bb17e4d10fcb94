import { ConditionStatus } from '@mcfleet/proto/mcfleet/v1/common';
import { Host } from '@mcfleet/proto/mcfleet/v1/host';
import {
  InstanceState,
  OversizePolicy,
  Relay,
  RelayEngine,
  RelayInstance,
  TransmitReason,
  TransmitWay,
} from '@mcfleet/proto/mcfleet/v1/relay';
import { describe, expect, it } from 'vitest';
import { age } from './age.ts';
import { describeHost } from './describe-host.ts';
import { describeRelay } from './describe-relay.ts';
import { hostColumns } from './host-view.ts';
import { instanceColumns } from './instance-view.ts';
import { noPaint, paintFor } from './paint.ts';
import { relayColumns } from './relay-view.ts';
import { type Column, Table } from './table.ts';

const now = Date.UTC(2026, 0, 2, 3, 4, 5);
const ago = (seconds: number): Date => new Date(now - seconds * 1000);

const ready = {
  type: 'Ready',
  status: ConditionStatus.TRUE,
  observedGeneration: 2n,
  lastTransitionTime: ago(65),
  reason: 'AllOutputsForward',
  message: '',
};
const relay = Relay.fromPartial({
  name: 'relays/camera-7',
  uid: '0190',
  labels: { site: 'studio-2' },
  generation: 2n,
  createTime: ago(3600),
  updateTime: ago(60),
  managedBy: 'mcfleet',
  spec: {
    hosts: { names: ['edge-1'], matchLabels: { role: 'edge' } },
    engine: RelayEngine.AUTO,
    input: { interface: 'eth0', group: '239.1.1.1', port: 5001, sources: ['10.99.99.99'], vlan: 7 },
    loopProtection: { keepDuplicates: true, minTtl: 4 },
    allowPtp: true,
    rateLimit: { packetsPerSecond: 5000, bitsPerSecond: 8_000_000n, burstPackets: 10 },
    outputs: [
      { interface: 'eth1', address: '239.10.10.10', port: 6001, ttl: 16, source: 'INTERFACE' },
      { interface: 'eth2', address: '', source: '', dscp: 46, sourcePort: 7000, oversize: OversizePolicy.DROP },
    ],
  },
  status: { observedGeneration: 2n, desiredInstances: 1, readyInstances: 1, updatedInstances: 1, conditions: [ready] },
});
const instance = RelayInstance.fromPartial({
  name: 'hosts/edge-1/relayInstances/camera-7',
  relay: 'relays/camera-7',
  host: 'hosts/edge-1',
  desiredGeneration: 2n,
  appliedGeneration: 2n,
  state: InstanceState.READY,
  effectiveEngine: RelayEngine.USERSPACE,
  engineReason: 'REWRITE_REQUESTED',
  conditions: [ready],
  counters: {
    rxPackets: 1000n,
    rxBytes: 1_344_000n,
    outputs: [
      {
        output: '239.10.10.10:6001@eth1',
        txPackets: 1000n,
        txBytes: 1_344_000n,
        up: true,
        transmit: TransmitWay.GSO,
        transmitReason: TransmitReason.KERNEL_SEGMENTS,
      },
      {
        output: '239.1.1.1:5001@eth2',
        txPackets: 990n,
        txBytes: 10n,
        up: true,
        drops: [{ reason: 'tx_full', packets: 10n }],
      },
    ],
    lastPacketTime: ago(1),
    latency: { counts: [0n, 0n, 5n, 90n, 3n, 1n, 1n], sumNanoseconds: 700_000n },
  },
  countersTime: ago(2),
  input: { interface: 'eth0', rxPackets: 1010n },
});

function table<T>(columns: readonly Column<T>[], objects: readonly T[]): string {
  return new Table(columns, noPaint).rows(objects);
}

describe('tables', () => {
  it('of relays', () => {
    expect(
      table(
        relayColumns(() => now, false),
        [relay],
      ),
    ).toBe(
      `NAME      ENGINE  INPUT                OUTPUTS                    READY  STATUS  AGE
camera-7  AUTO    239.1.1.1:5001@eth0  239.10.10.10:6001@eth1 +1    1/1  Ready   1h
`,
    );
    expect(
      table(
        relayColumns(() => now, true),
        [relay],
      ),
    ).toContain('edge-1,role=edge           2  site=studio-2');
  });

  it('do not call a relay ready because its last generation was', () => {
    const changed = Relay.fromPartial({ ...relay, generation: 3n });
    expect(
      table(
        relayColumns(() => now, false),
        [changed],
      ),
    ).toContain('Unknown');
  });

  it('of instances', () => {
    expect(
      table(
        instanceColumns(() => now, true),
        [instance],
      ),
    ).toBe(
      `RELAY     HOST    STATE  ENGINE                           RX    TX  DROPS  AGE   GENERATION  LOST BEFORE  LOST AFTER  COUNTED  MESSAGE
camera-7  edge-1  Ready  USERSPACE (REWRITE_REQUESTED)  1000  1990     10  1m5s         2/2            0           -  2s       -
`,
    );
  });

  it('of hosts', () => {
    const host = Host.fromPartial({
      name: 'hosts/edge-1',
      createTime: ago(86_400 * 3),
      status: {
        connected: true,
        relays: 1,
        desiredRevision: 4n,
        appliedRevision: 3n,
        agentVersion: '0.1.0',
        lastSeenTime: ago(5),
      },
    });
    expect(
      table(
        hostColumns(() => now, false),
        [host],
      ),
    ).toBe(
      `NAME    CONNECTED  RELAYS  IN SYNC  INTERFACES  VERSION  LAST SEEN  AGE
edge-1  yes             1  no                0  0.1.0    5s         3d
`,
    );
  });

  it('keep what a name could do to the terminal', () => {
    const hostile = Relay.fromPartial({
      ...relay,
      spec: { ...relay.spec, input: { interface: 'e\u001b[2J\n', group: 'g' } },
    });
    expect(
      table(
        relayColumns(() => now, false),
        [hostile],
      ),
    ).toContain('g:*@e\\x1b[2J\\x0a');
  });

  it('add rows below the same columns, without a second header', () => {
    const columns: Column<string>[] = [
      { title: 'A', value: (text) => text },
      { title: 'B', value: () => 'b' },
    ];
    const one = new Table(columns, noPaint);
    expect(one.rows(['xxx'])).toBe('A    B\nxxx  b\n');
    expect(one.rows(['y'])).toBe('y    b\n');
  });

  it('have colour only on a terminal, and do not count it as width', () => {
    const columns: Column<string>[] = [
      { title: 'A', value: (text) => text, tone: () => 'good' },
      { title: 'B', value: () => 'b' },
    ];
    expect(new Table(columns, paintFor(true, { TERM: 'xterm' })).rows(['x'])).toBe('A  B\n\u001b[32mx\u001b[0m  b\n');
    expect(new Table(columns, paintFor(true, { NO_COLOR: '1' })).rows(['x'])).toBe('A  B\nx  b\n');
    expect(new Table(columns, paintFor(false, {})).rows(['x'])).toBe('A  B\nx  b\n');
  });
});

describe('describe', () => {
  it('a relay: what is wanted, what each host makes of it, counters and drops', () => {
    expect(describeRelay(relay, [instance], now)).toBe(`Name:        camera-7
Status:      Ready, ready on 1 of 1 hosts
Labels:      site=studio-2
Generation:  2
Created:     2026-01-02T02:04:05Z (1h ago)
Updated:     2026-01-02T03:03:05Z (1m ago)
Managed by:  mcfleet
UID:         0190

Wanted:
  Hosts:    edge-1,role=edge
  Engine:   AUTO
  Input:    239.1.1.1:5001@eth0
  VLAN:     7
  Sources:  10.99.99.99
  Limit:    5000 packets per second, 8000000 bits per second, bursts of 10 packets
  Loops:    what comes back is passed on, TTL 4 at least
  PTP:      relayed
  Output 1: 239.10.10.10:6001@eth1, TTL 16, source INTERFACE
  Output 2: *:*@eth2, TTL arriving minus 1, source port 7000, DSCP 46, dropped if longer than the MTU

Conditions:
  Ready: yes, for 1m5s (AllOutputsForward)

Host edge-1:
  State:        Ready
  Engine:       USERSPACE (REWRITE_REQUESTED)
  Generation:   2 of 2 applied
  Received:     1000 packets, 1344000 bytes
  Last packet:  2026-01-02T03:04:04Z (1s ago)
  Latency:      p50 below 8 us, p99 below 32 us (of 100 packets)
  Dropped:      10
  Lost before:  0 in the receive ring of eth0; of all relays that take packets there
  Counted:      2026-01-02T03:04:03Z (2s ago)
  Conditions:
    Ready: yes, for 1m5s (AllOutputsForward)
  Outputs:
    OUTPUT                  PACKETS    BYTES  FORWARDS  SENDS BY                 DROPS
    239.10.10.10:6001@eth1     1000  1344000  yes       gso (cut by the kernel)  0
    239.1.1.1:5001@eth2         990       10  yes       -                        (tx_full 10)
`);
  });

  it('what to do about a relay that is ready and sees no packet', () => {
    const silent = RelayInstance.fromPartial({ ...instance, counters: { rxPackets: 0n } });
    expect(describeRelay(relay, [silent], now)).toContain(
      "- edge-1 is ready and has seen no packet. Look there: tcpdump -ni eth0 'dst host 239.1.1.1 and udp port 5001'.",
    );
  });

  it('what to do about a missing interface and about a host that is not connected', () => {
    const waiting = (reason: string): RelayInstance =>
      RelayInstance.fromPartial({
        ...instance,
        state: InstanceState.PENDING,
        conditions: [
          { type: 'Ready', status: ConditionStatus.FALSE, reason, message: 'output interface eth1 is not there' },
        ],
      });
    expect(describeRelay(relay, [waiting('InterfaceNotFound')], now)).toContain(
      '- edge-1: output interface eth1 is not there. What is there: mcfleet describe host edge-1',
    );
    expect(describeRelay(relay, [waiting('HostNotConnected')], now)).toContain('see that its agent runs');
    expect(describeRelay(relay, [], now)).toContain('No host runs it');
  });

  it('what to do about an input that the host refuses to its senders, or shares with a program', () => {
    const warned = (warning: string, port?: number): string => {
      const unicast = Relay.fromPartial({ ...relay, spec: { ...relay.spec, input: { group: '10.1.0.2', port } } });
      const counters = { rxPackets: 3n, outputs: [], warning };
      return describeRelay(unicast, [RelayInstance.fromPartial({ ...instance, counters })], now);
    };
    expect(warned('')).not.toMatch(/Input warning|What to do/);
    expect(warned('PortUnreachable')).toMatch(/Input warning: +PortUnreachable/);
    expect(warned('PortUnreachable')).toMatch(/answers the senders "port unreachable".*give the input its port/);
    expect(warned('PortUnreachable', 53)).toMatch(/port 53 cannot be held there/);
    expect(warned('PortInUse', 5001)).toContain("gets the packets too. Which one: ss -ulnp 'sport = :5001'");
    // Of a later version.
    expect(warned('Odd')).toContain('- edge-1: its input takes packets with a warning: Odd.');
  });

  it('a host with its interfaces and relays', () => {
    const host = Host.fromPartial({
      name: 'hosts/edge-1',
      labels: { role: 'edge' },
      status: {
        connected: true,
        agentLabels: { role: 'old', rack: '4' },
        kernel: '6.18.0',
        receiving: [
          { ifindex: 2, filter: 'coarse', ringBytes: 76_800_000n, memberships: 10_000 },
          { ifindex: 4, filter: 'exact', ringBytes: 2n ** 20n, memberships: 1, longRingBytes: 2n ** 22n },
          { ifindex: 6, filter: 'none', ringBytes: 2n ** 20n, memberships: 1 },
          { ifindex: 5, filter: 'exact', ringBytes: 2n ** 20n, memberships: 1, longRingError: 'no memory' },
        ],
        sending: [
          { ifindex: 3, transmit: 'gso', reason: 'the device segments', outputs: 1 },
          { ifindex: 3, transmit: 'sendmmsg', reason: 'asked for', outputs: 7 },
        ],
        options: { ringBytes: 100n * 150n * 2048n, busyPollUs: 50, workers: 2, cpus: [0, 3], transmit: 'auto' },
        workers: [
          { index: 0, cpu: 3, packets: 1000n, udpSockets: { open: 0, most: 1024 } },
          {
            ...{ index: 1, packets: 0n },
            udpSockets: { open: 4, most: 1024, refused: 2n, failed: 1n, packetsWithout: 30n },
          },
        ],
        interfaces: [
          {
            index: 2,
            name: 'eth0',
            mtu: 1500,
            operState: 'up',
            addresses: ['192.0.2.1/24'],
            flags: ['UP', 'MULTICAST'],
          },
        ],
      },
    });
    const shown = describeHost(host, [instance], now);
    const exclusive = { active: true, destinations: 2, sharedRelays: 1, leftOut: 3 };
    const described = (one: object): string => {
      const status = { receiving: [{ ifindex: 7, filter: 'exact', exclusive: one }] };
      return describeHost(Host.fromPartial({ name: 'hosts/edge-1', status }), [], now);
    };
    expect(described(exclusive)).toContain(
      '0 groups joined, 2 destinations kept from the host, shared with it: 1 relay and 3 destinations that did not fit',
    );
    expect(described({ active: true, destinations: 1 })).toMatch(/, 1 destination kept from the host$/m);
    expect(described({ reason: 'it needs Linux 6.6' })).toMatch(
      /joined, shared with the host \(it needs Linux 6.6\)$/m,
    );
    expect(shown).toContain(`Packet path:
  options:   --ring-ms 100 --busy-poll-us 50 --workers 2 --cpus 0,3 --transmit auto no --exclusive-input no --mroute-table
  worker 0:  on CPU 3, took 1000 packets
  worker 1:  on any CPU, took 0 packets, UDP sockets: 4 open (most of all workers: 1024), asked for 2 times beyond the bounds, not given by the kernel once, 30 packets sent without
  eth0:      receives: coarse kernel filter (all multicast UDP; relays select afterwards), ring of 74 MiB, 10000 groups joined
  index 4:   receives: exact kernel filter, ring of 1 MiB, 4 MiB for super-frames, 1 group joined
  index 6:   receives: no kernel filter (every packet is copied; raise net.core.optmem_max and change a relay), ring of 1 MiB, 1 group joined
  index 5:   receives: exact kernel filter, ring of 1 MiB, none for super-frames (no memory), 1 group joined
  index 3:   sends 1 output: gso (the device segments)
  index 3:   sends 7 outputs: sendmmsg (asked for)
`);
    expect(shown).toContain('Labels:     rack=4,role=edge\n');
    expect(shown).toContain('  eth0      2  up     -     1500  192.0.2.1/24  UP,MULTICAST\n');
    expect(shown).toContain('  camera-7  Ready  USERSPACE (REWRITE_REQUESTED)  1000  1990');
  });
});

describe('age', () => {
  it.each([
    [0, '0s'],
    [59, '59s'],
    [60, '1m'],
    [192, '3m12s'],
    [900, '15m'],
    [7500, '2h5m'],
    [36_060, '10h'],
    [356_400, '4d3h'],
    [-5, '0s'],
  ])('of %s seconds is %s', (seconds, expected) => {
    expect(age(ago(seconds), now)).toBe(expected);
  });
});

it('a generation that no host told of is not shown as 0', () => {
  const told = { ...instance, appliedGeneration: 0n };
  const untold = { ...told, state: InstanceState.UNKNOWN };
  const column = instanceColumns(() => 0, true).find(({ title }) => title === 'GENERATION');
  expect([untold, told].map((each) => column?.value(each))).toEqual(['?/2', '0/2']);
  expect(describeRelay(relay, [untold], 0)).toMatch(/Generation: +2 wanted, not known which is applied\n/);
  expect(describeRelay(relay, [told], 0)).toMatch(/Generation: +0 of 2 applied\n/);
});
