import type { BridgeDescription, LabDescription, NamespaceDescription } from './description.ts';

/** What a topology leaves open. */
export interface TopologyOptions {
  /** Reverse path filter of every interface. Default 1, strict. */
  readonly rpFilter?: 0 | 1 | 2;
  /** The switches of the topology, if it has any. Default: snooping, no querier. */
  readonly bridge?: BridgeDescription;
  /** Default true. Without it an interface receives nothing that was not sent on purpose, save ARP and IGMP. */
  readonly ipv6?: boolean;
}

/**
 * The founding documents' Scenario A: a generator, a relay and a sink in a row.
 *
 *     gen            relay                sink
 *     veth0 ------- veth1  veth3 ------- veth2
 *     10.0.0.1   10.0.0.2  10.0.1.1   10.0.1.2
 */
export function chain(options: TopologyOptions = {}): LabDescription {
  const machine = machineOf(options);
  return {
    namespaces: {
      gen: { ...machine, routes: [{ to: '224.0.0.0/4', interface: 'veth0' }] },
      relay: machine,
      sink: machine,
    },
    links: [
      {
        a: { namespace: 'gen', interface: 'veth0', addresses: ['10.0.0.1/24'] },
        b: { namespace: 'relay', interface: 'veth1', addresses: ['10.0.0.2/24'] },
      },
      {
        a: { namespace: 'relay', interface: 'veth3', addresses: ['10.0.1.1/24'] },
        b: { namespace: 'sink', interface: 'veth2', addresses: ['10.0.1.2/24'] },
      },
    ],
  };
}

/**
 * The founding documents' Scenario B: two switches, and the relay with an interface in each; switches and relay in one namespace.
 *
 *     gen: veth-gen 10.0.0.10                                      sink: veth-sink 10.0.1.30
 *             |                                                            |
 *     br0 [veth-gen-p  veth-mcr0-p]                      br1 [veth-mcr1-p  veth-sink-p]
 *                          |                                       |
 *                      veth-mcr0 10.0.0.20               veth-mcr1 10.0.1.20
 */
export function dualBridge(options: TopologyOptions = {}): LabDescription {
  const machine = machineOf(options);
  const bridge = options.bridge ?? {};
  return {
    namespaces: {
      gen: { ...machine, routes: [{ to: '224.0.0.0/4', interface: 'veth-gen' }] },
      relay: { ...machine, bridges: { br0: bridge, br1: bridge } },
      sink: machine,
    },
    links: [
      {
        a: { namespace: 'gen', interface: 'veth-gen', addresses: ['10.0.0.10/24'] },
        b: { namespace: 'relay', interface: 'veth-gen-p', bridge: 'br0' },
      },
      {
        a: { namespace: 'relay', interface: 'veth-mcr0', addresses: ['10.0.0.20/24'] },
        b: { namespace: 'relay', interface: 'veth-mcr0-p', bridge: 'br0' },
      },
      {
        a: { namespace: 'relay', interface: 'veth-mcr1', addresses: ['10.0.1.20/24'] },
        b: { namespace: 'relay', interface: 'veth-mcr1-p', bridge: 'br1' },
      },
      {
        a: { namespace: 'sink', interface: 'veth-sink', addresses: ['10.0.1.30/24'] },
        b: { namespace: 'relay', interface: 'veth-sink-p', bridge: 'br1' },
      },
    ],
  };
}

/**
 * Two relay hosts in a row, two receivers behind the second, and a network for management.
 *
 *     source eth0 ---- eth0 host-a eth1 ---- eth0 host-b eth1 --- [switch] --- eth0 viewer-1
 *     10.1.0.2      10.1.0.1      10.2.0.1  10.2.0.2   10.3.0.1      |         10.3.0.11
 *                                                                    +-------- eth0 viewer-2
 *                                                                              10.3.0.12
 *     controller mgmt0 10.9.0.1 --- [switch] --- mgmt0 of host-a 10.9.0.11 and host-b 10.9.0.12
 *
 * No machine has a route to anything but its own networks.
 */
export function twoHosts(options: TopologyOptions = {}): LabDescription {
  const machine = machineOf(options);
  const bridge = options.bridge ?? {};
  const wire = (from: string, device: string, address: string, to: string, port: string, bridgeName: string) => ({
    a: { namespace: from, interface: device, addresses: [address] },
    b: { namespace: to, interface: port, bridge: bridgeName },
  });
  return {
    namespaces: {
      source: { ...machine, routes: [{ to: '224.0.0.0/4', interface: 'eth0' }] },
      'host-a': machine,
      'host-b': machine,
      'viewer-1': machine,
      'viewer-2': machine,
      controller: machine,
      switches: { bridges: { viewers: bridge, management: {} } },
    },
    links: [
      {
        a: { namespace: 'source', interface: 'eth0', addresses: ['10.1.0.2/24'] },
        b: { namespace: 'host-a', interface: 'eth0', addresses: ['10.1.0.1/24'] },
      },
      {
        a: { namespace: 'host-a', interface: 'eth1', addresses: ['10.2.0.1/24'] },
        b: { namespace: 'host-b', interface: 'eth0', addresses: ['10.2.0.2/24'] },
      },
      wire('host-b', 'eth1', '10.3.0.1/24', 'switches', 'host-b', 'viewers'),
      wire('viewer-1', 'eth0', '10.3.0.11/24', 'switches', 'viewer-1', 'viewers'),
      wire('viewer-2', 'eth0', '10.3.0.12/24', 'switches', 'viewer-2', 'viewers'),
      wire('controller', 'mgmt0', '10.9.0.1/24', 'switches', 'controller', 'management'),
      wire('host-a', 'mgmt0', '10.9.0.11/24', 'switches', 'mgmt-a', 'management'),
      wire('host-b', 'mgmt0', '10.9.0.12/24', 'switches', 'mgmt-b', 'management'),
    ],
  };
}

function machineOf(options: TopologyOptions): NamespaceDescription {
  const sysctls = options.ipv6 === false ? { 'net.ipv6.conf.default.disable_ipv6': 1 } : {};
  return { rpFilter: options.rpFilter ?? 1, sysctls };
}
