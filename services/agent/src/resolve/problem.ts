import type { status } from '@grpc/grpc-js';
import { FleetError } from '@mcfleet/common/error';
import { toRpcStatus } from '@mcfleet/common/status-details';
import type { Status } from '@mcfleet/proto/google/rpc/status';

/** Why a relay, or one output of it, does not forward on this host. */
export interface Problem {
  /** gRPC status. */
  readonly code: status;
  /** Stable CamelCase code, the reason of the instance's condition: "InterfaceNotFound". */
  readonly reason: string;
  /** For people: what is so, where, and what to do. */
  readonly message: string;
}

/** As RelayResult.error carries it. */
export function problemStatus(problem: Problem): Status {
  return toRpcStatus(new FleetError(problem));
}
