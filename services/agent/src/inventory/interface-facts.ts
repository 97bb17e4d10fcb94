import type { InterfaceFacts } from '@mcfleet/native';
import type { NetworkInterface } from '@mcfleet/proto/mcfleet/v1/host';

/** IFF_* of linux/if.h by bit, as `ip link` prints them (iproute2, ipaddress.c, print_link_flags). */
const FLAG_NAMES: readonly (readonly [number, string])[] = [
  [0x1, 'UP'],
  [0x2, 'BROADCAST'],
  [0x4, 'DEBUG'],
  [0x8, 'LOOPBACK'],
  [0x10, 'POINTOPOINT'],
  [0x20, 'NOTRAILERS'],
  [0x40, 'RUNNING'],
  [0x80, 'NOARP'],
  [0x100, 'PROMISC'],
  [0x200, 'ALLMULTI'],
  [0x400, 'MASTER'],
  [0x800, 'SLAVE'],
  [0x1000, 'MULTICAST'],
  [0x2000, 'PORTSEL'],
  [0x4000, 'AUTOMEDIA'],
  [0x8000, 'DYNAMIC'],
  [0x10000, 'LOWER_UP'],
  [0x20000, 'DORMANT'],
  [0x40000, 'ECHO'],
];

/** An interface as the controller is told. */
export function toNetworkInterface(facts: InterfaceFacts): NetworkInterface {
  return {
    index: facts.index,
    name: facts.name,
    mac: facts.mac,
    mtu: facts.mtu,
    flags: FLAG_NAMES.filter(([bit]) => (facts.flags & bit) !== 0).map(([, name]) => name),
    addresses: [...facts.addresses],
    operState: facts.operState,
    kind: facts.kind,
  };
}
