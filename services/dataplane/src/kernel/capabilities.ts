import { existsSync, readFileSync } from 'node:fs';

/** linux/capability.h */
const CAP_NET_ADMIN = 12n;

/** In the namespace of this process; the kernel has them only with CONFIG_IP_MROUTE and CONFIG_IPV6_MROUTE. */
const TABLES = [
  ['engine.kernel.v4', '/proc/self/net/ip_mr_cache'],
  ['engine.kernel.v6', '/proc/self/net/ip6_mr_cache'],
] as const;

/** What the kernel engine can do here, as HostStatus.capabilities. A table is only taken when a relay needs it. */
export function kernelCapabilities(): readonly string[] {
  if (!mayRoute(readFileSync('/proc/self/status', 'utf8'))) return [];
  return TABLES.filter(([, file]) => existsSync(file)).map(([capability]) => capability);
}

/** Whether a process, by its /proc/PID/status, has CAP_NET_ADMIN, without which the kernel gives out no table. */
export function mayRoute(processStatus: string): boolean {
  const [, effective = '0'] = /^CapEff:\s*([0-9a-f]+)$/m.exec(processStatus) ?? [];
  return ((BigInt(`0x${effective}`) >> CAP_NET_ADMIN) & 1n) === 1n;
}
