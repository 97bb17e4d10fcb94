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

/** The most problems that are told one by one. */
const MAX_TOLD = 4;

/** Several problems as one: the code and reason of the first, and what each says. */
export function combine(problems: readonly Problem[]): Problem {
  const [first] = problems;
  if (first === undefined) throw new Error('nothing is wrong');
  const messages = [...new Set(problems.map(({ message }) => message))];
  const more = messages.length > MAX_TOLD ? ` (and ${messages.length - MAX_TOLD} more)` : '';
  return { ...first, message: `${messages.slice(0, MAX_TOLD).join('; ')}${more}` };
}

/** As RelayResult.error carries it. */
export function problemStatus(problem: Problem): Status {
  return toRpcStatus(new FleetError(problem));
}
