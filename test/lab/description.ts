/** What a lab looks like. A plain object: everything is said before anything is made. */
export interface LabDescription {
  /** Network namespaces by name; names are free, for example "host-a". */
  readonly namespaces: Readonly<Record<string, NamespaceDescription>>;
  /** Cables between them: veth pairs. */
  readonly links: readonly LinkDescription[];
}

/** One network namespace: a machine of the lab. */
export interface NamespaceDescription {
  /**
   * Reverse path filter of every interface, RFC 3704: 0 off, 1 strict, 2 loose. Default 1, as most distributions ship it, so that a
   * test only passes if strict filtering does not harm.
   */
  readonly rpFilter?: 0 | 1 | 2;
  /** Whether the kernel routes between interfaces. Default false. */
  readonly forwarding?: boolean;
  /** Further settings, for example {"net.core.rmem_max": 16777216}; set before any interface is made. */
  readonly sysctls?: Readonly<Record<string, string | number>>;
  /** Switches by interface name. */
  readonly bridges?: Readonly<Record<string, BridgeDescription>>;
  /** Set once all interfaces are up. */
  readonly routes?: readonly RouteDescription[];
}

/** A switch. */
export interface BridgeDescription {
  /** IGMP and MLD snooping. Default true, as real switches have it. */
  readonly snooping?: boolean;
  /**
   * Whether the switch asks for members itself. Without any querier a snooping switch floods; with one a port that never joined gets
   * nothing, about a second after start. Default false.
   */
  readonly querier?: boolean;
  /** With prefix length. Default none. */
  readonly addresses?: readonly string[];
}

/** A route, as `ip route add` takes it. */
export interface RouteDescription {
  /** "default" or a prefix, for example "224.0.0.0/4". */
  readonly to: string;
  /** Next hop. */
  readonly via?: string;
  /** Interface. */
  readonly interface?: string;
}

/** A veth pair. */
export interface LinkDescription {
  readonly a: LinkEnd;
  readonly b: LinkEnd;
  /** Bytes. Default 1500. */
  readonly mtu?: number;
}

/** One end of a veth pair. */
export interface LinkEnd {
  readonly namespace: string;
  /** 1 to 15 characters (IFNAMSIZ), unique within the namespace. */
  readonly interface: string;
  /** With prefix length: "10.0.0.1/24". Default none. */
  readonly addresses?: readonly string[];
  /** The switch of the same namespace that this end is plugged into. */
  readonly bridge?: string;
}

/**
 * Says what is wrong with a description, all at once; empty if nothing is.
 */
export function describeMistakes(lab: LabDescription): string[] {
  const mistakes: string[] = [];
  const interfaces = new Set<string>();
  const claim = (namespace: string, name: string): void => {
    // dev_valid_name() in net/core/dev.c.
    if (!/^[^\s/:]{1,15}$/.test(name))
      mistakes.push(`${namespace}: "${name}" is no interface name (1 to 15 characters)`);
    const key = `${namespace} ${name}`;
    if (interfaces.has(key)) mistakes.push(`${namespace}: interface "${name}" is described twice`);
    interfaces.add(key);
  };

  for (const [namespace, description] of Object.entries(lab.namespaces)) {
    if (!/^[a-z0-9][a-z0-9-]{0,39}$/.test(namespace)) {
      mistakes.push(`"${namespace}" is no namespace name (1 to 40 of a-z, 0-9 and -)`);
    }
    for (const bridge of Object.keys(description.bridges ?? {})) claim(namespace, bridge);
  }
  for (const end of lab.links.flatMap((link) => [link.a, link.b])) {
    const namespace = lab.namespaces[end.namespace];
    if (namespace === undefined) {
      mistakes.push(`interface "${end.interface}" is in namespace "${end.namespace}", which is not described`);
      continue;
    }
    claim(end.namespace, end.interface);
    if (end.bridge !== undefined && namespace.bridges?.[end.bridge] === undefined) {
      mistakes.push(
        `${end.namespace}: interface "${end.interface}" is plugged into "${end.bridge}", which is no bridge there`,
      );
    }
  }
  return mistakes;
}
