import { loadAddon } from './load.ts';

/** One network interface as rtnetlink reports it (RTM_NEWLINK, RTM_NEWADDR). */
export interface InterfaceFacts {
  readonly index: number;
  readonly name: string;
  /** "02:00:00:00:00:01"; empty for devices without a hardware address. */
  readonly mac: string;
  readonly mtu: number;
  /** IFF_* bits, as in linux/if.h. */
  readonly flags: number;
  /** ARPHRD_*, as in linux/if_arp.h. */
  readonly type: number;
  /** IFLA_OPERSTATE in words: "up", "down", "lowerlayerdown", "dormant", "testing", "notpresent", "unknown". */
  readonly operState: string;
  /** IFLA_INFO_KIND: "veth", "bridge"; empty for physical devices. */
  readonly kind: string;
  /** With prefix length, in the kernel's order: "192.0.2.1/24". */
  readonly addresses: readonly string[];
}

export interface InterfaceWatch {
  /** Ends the watch; the listener is not called any more. */
  close(): void;
}

interface Addon {
  listInterfaces(): readonly InterfaceFacts[];
  watchInterfaces(
    listener: (interfaces: readonly InterfaceFacts[]) => void,
    onError: (error: Error) => void,
  ): InterfaceWatch;
}

/** All interfaces of this network namespace, by index. Needs no privilege. */
export function listInterfaces(): readonly InterfaceFacts[] {
  return loadAddon<Addon>().listInterfaces();
}

/**
 * Calls `listener` with all interfaces at once and again whenever a link or address changes; changes within a few milliseconds
 * are merged. A lost notification (ENOBUFS) leads to a new dump, never to a stale list. Watches until closed, also when the result
 * is not kept, but does not keep the process alive.
 *
 * @param onError Told once when the kernel refuses a dump; the watch goes on trying. Default: a process warning.
 */
export function watchInterfaces(
  listener: (interfaces: readonly InterfaceFacts[]) => void,
  onError: (error: Error) => void = (error) => process.emitWarning(error),
): InterfaceWatch {
  return loadAddon<Addon>().watchInterfaces(listener, onError);
}
