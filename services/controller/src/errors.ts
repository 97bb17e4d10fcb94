import { status } from '@grpc/grpc-js';
import { FleetError, type FleetErrorOptions } from '@mcfleet/common/error';

/** Every reason that the controller refuses a call with, and its gRPC code. The same reason always means the same. */
export const REASONS = {
  /** A resource in the request is not valid; the violations say where. */
  INVALID_SPEC: status.INVALID_ARGUMENT,
  /** A field of the request that is not part of a resource is not valid. */
  INVALID_REQUEST: status.INVALID_ARGUMENT,
  /** The page token was made up, belongs to another list, or is older than an hour. */
  PAGE_TOKEN_INVALID: status.INVALID_ARGUMENT,
  /** The resume token was made up or belongs to another controller or call. */
  RESUME_TOKEN_INVALID: status.INVALID_ARGUMENT,
  /** The changes after the resume token are no longer kept. */
  RESUME_TOKEN_EXPIRED: status.OUT_OF_RANGE,
  /** The request_id was used within 24 hours for another request. */
  REQUEST_ID_REUSED: status.INVALID_ARGUMENT,
  /** The controller remembers as many request ids as it can. */
  REQUEST_ID_LIMIT: status.RESOURCE_EXHAUSTED,
  RELAY_NOT_FOUND: status.NOT_FOUND,
  HOST_NOT_FOUND: status.NOT_FOUND,
  RELAY_EXISTS: status.ALREADY_EXISTS,
  /** The object was changed since it was read. */
  ETAG_MISMATCH: status.ABORTED,
  /** Another relay sends the same packets to the same output of the same host. */
  RELAY_CONFLICT: status.FAILED_PRECONDITION,
  /** The answer would be larger than a message may be. */
  RESPONSE_TOO_LARGE: status.RESOURCE_EXHAUSTED,
  /** A relay names the host. */
  HOST_IN_USE: status.FAILED_PRECONDITION,
  /** The host's agent is connected. */
  HOST_CONNECTED: status.FAILED_PRECONDITION,
  /** The controller stores as many objects of the kind as it can. */
  TOO_MANY_OBJECTS: status.RESOURCE_EXHAUSTED,
  /** More writes are waiting than the store takes. */
  WRITE_QUEUE_FULL: status.RESOURCE_EXHAUSTED,
  /** A watcher reads slower than things change. */
  WATCH_TOO_SLOW: status.RESOURCE_EXHAUSTED,
  /** More watches are open than the controller serves. */
  TOO_MANY_WATCHES: status.RESOURCE_EXHAUSTED,
  /** The disk of the store is full. */
  STORE_FULL: status.RESOURCE_EXHAUSTED,
  /** The store could not write for another reason. */
  STORE_FAILED: status.UNAVAILABLE,
  /** The store is being closed. */
  STORE_CLOSED: status.UNAVAILABLE,
  /** Another controller has the data directory. */
  STORE_IN_USE: status.FAILED_PRECONDITION,
  /** The store file is damaged, or no store. */
  STORE_CORRUPT: status.DATA_LOSS,
  /** The data directory belongs to a cluster, and its store is gone or empty. */
  STORE_LOST: status.DATA_LOSS,
  /** The store was written by a newer version. */
  STORE_TOO_NEW: status.FAILED_PRECONDITION,
  /** The data directory cannot be used. */
  DATA_DIR_UNUSABLE: status.FAILED_PRECONDITION,
  /** The first message of a session was not Hello, or Hello came twice. */
  HELLO_REQUIRED: status.INVALID_ARGUMENT,
  HELLO_TIMEOUT: status.DEADLINE_EXCEEDED,
  HELLO_INVALID: status.INVALID_ARGUMENT,
  /** Agent and controller have no protocol version in common. */
  PROTOCOL_UNSUPPORTED: status.FAILED_PRECONDITION,
  /** The agent has seen a controller of a higher term, or a later revision: the store is an old one. */
  STALE_CONTROLLER: status.FAILED_PRECONDITION,
  /** AgentMessage.seq did not rise by one. */
  SEQUENCE_BROKEN: status.INVALID_ARGUMENT,
  /** A newer session of the same host took over. */
  SESSION_REPLACED: status.ABORTED,
  /** Another agent under the same name was started later and has the session. */
  DUPLICATE_AGENT: status.FAILED_PRECONDITION,
  /** The agent was silent for the length of its lease. */
  LEASE_EXPIRED: status.DEADLINE_EXCEEDED,
  /** The agent did not acknowledge an update. */
  ACK_TIMEOUT: status.ABORTED,
  SHUTTING_DOWN: status.UNAVAILABLE,
  /** A setting of the controller is not valid. */
  INVALID_CONFIG: status.INVALID_ARGUMENT,
} as const satisfies Record<string, status>;

/** A reason of the table. */
export type Reason = keyof typeof REASONS;

/** The error of a reason; `message` says for people what failed, on which object, and what to do. */
export function refusal(
  reason: Reason,
  message: string,
  details: Omit<FleetErrorOptions, 'code' | 'reason' | 'message'> = {},
): FleetError {
  return new FleetError({ code: REASONS[reason], reason, message, ...details });
}
