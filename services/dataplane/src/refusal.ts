import { status } from '@grpc/grpc-js';
import { FleetError } from '@mcfleet/common/error';
import type { RelayRefusal } from '@mcfleet/native';

/** What an errno of the native part means to a caller; anything else is INTERNAL. */
const CODES: Readonly<Record<string, status>> = {
  ENODEV: status.FAILED_PRECONDITION,
  ENXIO: status.FAILED_PRECONDITION,
  ENETDOWN: status.FAILED_PRECONDITION,
  EADDRNOTAVAIL: status.FAILED_PRECONDITION,
  EEXIST: status.ALREADY_EXISTS,
  EOVERFLOW: status.FAILED_PRECONDITION,
  // Another relay or program has it: it may let go of it.
  EBUSY: status.RESOURCE_EXHAUSTED,
  EADDRINUSE: status.UNAVAILABLE,
  EINVAL: status.INVALID_ARGUMENT,
  EPERM: status.PERMISSION_DENIED,
  EACCES: status.PERMISSION_DENIED,
  EAFNOSUPPORT: status.UNIMPLEMENTED,
  // EOPNOTSUPP, as libuv calls it.
  ENOTSUP: status.UNIMPLEMENTED,
  ENOPROTOOPT: status.UNIMPLEMENTED,
  ENOSYS: status.UNIMPLEMENTED,
  EMFILE: status.RESOURCE_EXHAUSTED,
  ENFILE: status.RESOURCE_EXHAUSTED,
  ENOBUFS: status.RESOURCE_EXHAUSTED,
  ENOMEM: status.RESOURCE_EXHAUSTED,
  ENOSPC: status.RESOURCE_EXHAUSTED,
};

/** A refusal of the native part as an error; its CamelCase reason stays, because it becomes a condition's reason. */
export function toFleetError({ uid, errno, reason, message }: RelayRefusal): FleetError {
  const code = CODES[errno] ?? status.INTERNAL;
  return new FleetError({ code, reason, message, metadata: { uid, errno } });
}
