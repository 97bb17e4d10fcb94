import type { RelayRefusal, RouteFailure } from '@mcfleet/native';
import type { KernelRelay } from './routes.ts';

/** What an errno of the routing tables means, as the reason of a condition. */
const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'RoutingTableInUse',
  EPERM: 'NoPermission',
  EACCES: 'NoPermission',
  ENOPROTOOPT: 'EngineUnavailable',
  ENODEV: 'InterfaceNotFound',
  ENXIO: 'InterfaceNotFound',
  // EOPNOTSUPP, as libuv calls it; groups that are never routed were refused before (limits.ts).
  ENOTSUP: 'InterfaceNotMulticast',
  EOVERFLOW: 'InterfaceIndexTooGreat',
  ENOSPC: 'RoutingTableFull',
};

/** Why the kernel does not take a relay. */
export function kernelRefusal({ uid, name }: KernelRelay, { errno, message }: RouteFailure): RelayRefusal {
  const reason = REASONS[errno] ?? 'KernelRefused';
  return { uid, errno, reason, message: `${name}: cannot ${message}` };
}

/** @param conflict which relay has what, as a sentence: "relays/a takes ..." */
export function routeTaken({ uid, name }: KernelRelay, conflict: string): RelayRefusal {
  const message =
    `${name} waits: the kernel finds one route for a packet, and on this host ${conflict}; ` +
    'give one relay the outputs of both, or use the userspace engine for one of them';
  return { uid, errno: 'EBUSY', reason: 'RouteTaken', message };
}
