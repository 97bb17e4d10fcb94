import type {
  BridgeDescription,
  LabDescription,
  LinkDescription,
  LinkEnd,
  NamespaceDescription,
} from './description.ts';

/** What is to be done in one namespace, in this order. */
export interface NamespacePlan {
  readonly namespace: string;
  /** Settings by their path below /proc/sys, written before any interface is made: new interfaces inherit `default`. */
  readonly sysctls: readonly (readonly [path: string, value: string])[];
  /** Lines for `ip -batch`. */
  readonly ip: readonly string[];
}

/**
 * Turns a description into commands. Pure.
 *
 * @param realName name of a namespace in /run/netns, by its name in the description.
 */
export function planLab(lab: LabDescription, realName: (namespace: string) => string): NamespacePlan[] {
  const plans = new Map<string, { sysctls: [string, string][]; make: string[]; routes: string[] }>();
  for (const [name, namespace] of Object.entries(lab.namespaces)) {
    plans.set(name, {
      sysctls: planSysctls(namespace),
      make: [
        'link set dev lo up',
        ...Object.entries(namespace.bridges ?? {}).flatMap(([bridge, description]) => planBridge(bridge, description)),
      ],
      routes: (namespace.routes ?? []).map(
        (route) =>
          `route add ${route.to}${route.via === undefined ? '' : ` via ${route.via}`}` +
          (route.interface === undefined ? '' : ` dev ${route.interface}`),
      ),
    });
  }
  const bringUp: { namespace: string; commands: string[] }[] = [];
  for (const [number, link] of lab.links.entries()) {
    plans.get(link.a.namespace)?.make.push(planPair(link, realName, number));
    for (const end of [link.a, link.b]) bringUp.push({ namespace: end.namespace, commands: planEnd(end) });
  }

  // In three rounds over all namespaces: a pair puts an interface into another namespace, whose settings it is to inherit and where
  // it is put to work.
  const set: NamespacePlan[] = [];
  const make: NamespacePlan[] = [];
  const start: NamespacePlan[] = [];
  for (const [namespace, plan] of plans) {
    set.push({ namespace, sysctls: plan.sysctls, ip: [] });
    make.push({ namespace, sysctls: [], ip: plan.make });
    const ends = bringUp.filter((end) => end.namespace === namespace).flatMap((end) => end.commands);
    start.push({ namespace, sysctls: [], ip: [...ends, ...plan.routes] });
  }
  return [...set, ...make, ...start].filter((plan) => plan.ip.length > 0 || plan.sysctls.length > 0);
}

/** The kernel itself counts from 2. */
const firstIndex = 1_000;

/**
 * The command that makes a veth pair, to be run in the namespace of end `a`. That end gets an index of its own: where both ends have the
 * same, in namespaces that count alike, the kernel takes up to a second to notice their carrier (linkwatch_urgent_event in
 * net/core/link_watch.c).
 *
 * @param number of the pair in its lab; each is used once.
 */
export function planPair(link: LinkDescription, realName: (namespace: string) => string, number: number): string {
  const mtu = link.mtu === undefined ? '' : ` mtu ${link.mtu}`;
  return (
    `link add name ${link.a.interface}${mtu} index ${firstIndex + number} type veth ` +
    `peer name ${link.b.interface}${mtu} netns ${realName(link.b.namespace)}`
  );
}

/** The commands that put one end of a veth pair to work, to be run in its namespace. */
export function planEnd(end: LinkEnd): string[] {
  return [
    ...(end.addresses ?? []).map((address) => `address add ${address} dev ${end.interface}`),
    ...(end.bridge === undefined ? [] : [`link set dev ${end.interface} master ${end.bridge}`]),
    `link set dev ${end.interface} up`,
  ];
}

function planSysctls(namespace: NamespaceDescription): [string, string][] {
  const rpFilter = String(namespace.rpFilter ?? 1);
  const settings: Record<string, string | number> = {
    // The kernel takes the larger of `all` and the interface's own (Documentation/networking/ip-sysctl.rst).
    'net.ipv4.conf.all.rp_filter': rpFilter,
    'net.ipv4.conf.default.rp_filter': rpFilter,
    'net.ipv4.ip_forward': namespace.forwarding === true ? 1 : 0,
    'net.ipv6.conf.all.forwarding': namespace.forwarding === true ? 1 : 0,
    // An address is usable at once: nobody else can have it here.
    'net.ipv6.conf.default.accept_dad': 0,
    ...namespace.sysctls,
  };
  return Object.entries(settings).map(([name, value]) => [name.replaceAll('.', '/'), String(value)]);
}

function planBridge(name: string, bridge: BridgeDescription): string[] {
  const options = [`mcast_snooping ${bridge.snooping === false ? 0 : 1}`];
  // Queries and their answers within a second, in units of 10 ms: a lab has no time for the 10 s of RFC 3376, section 8.
  if (bridge.querier === true) options.push('mcast_querier 1', 'mcast_query_response_interval 100');
  return [
    `link add name ${name} type bridge ${options.join(' ')}`,
    ...(bridge.addresses ?? []).map((address) => `address add ${address} dev ${name}`),
    `link set dev ${name} up`,
  ];
}
