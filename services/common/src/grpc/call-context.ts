import type { EventEmitter } from 'node:events';
import {
  type Metadata,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  status,
} from '@grpc/grpc-js';
import { FleetError } from '../error.ts';
import { createLogger, type Logger } from '../log.ts';

/** What a handler knows of its call. */
export interface CallContext {
  /** "/mcfleet.v1.RelayService/GetRelay". */
  readonly method: string;
  /** Aborts when the call ends for any reason; for streams also when the server stops. `reason` is a FleetError. */
  readonly signal: AbortSignal;
  /** What the client sent along. */
  readonly metadata: Metadata;
  /** "192.0.2.1:50000"; "unknown" on a unix socket. */
  readonly peer: string;
  /** When the client gives up, in Unix milliseconds; absent if it waits forever. */
  readonly deadline: number | undefined;
  readonly log: Logger;
}

/** What grpc-js hands to the handlers of the three kinds of methods that mcfleet has. */
export type ServerCall<Req, Res> =
  | ServerUnaryCall<Req, Res>
  | ServerWritableStream<Req, Res>
  | ServerDuplexStream<Req, Res>;

/** The server's side of its calls. */
export interface CallHost {
  readonly log: Logger;
  /** Streams that end when the server stops; bounded by grpc.max_concurrent_streams per connection. */
  readonly openStreams: Set<AbortController>;
}

const hosts = new WeakMap<object, CallHost>();

/** Tells which server a call arrived at. GrpcServer does this before the handler runs. */
export function setCallHost(call: object, host: CallHost): void {
  hosts.set(call, host);
}

export interface OpenCall {
  readonly context: CallContext;
  /** Aborts when the call has ended: nothing can be sent any more. */
  readonly ended: AbortSignal;
}

/** Follows a call from its arrival to its end. */
export function openCall<Req, Res>(call: ServerCall<Req, Res>): OpenCall {
  const host = hosts.get(call) ?? { log: createLogger({ component: 'grpc' }), openStreams: new Set() };
  const ended = new AbortController();
  const working = new AbortController();
  const isStream = 'writable' in call;
  if (isStream) host.openStreams.add(working);
  // grpc-js emits this once for every call: the client cancelled, the deadline passed, the connection broke, or the status is sent.
  (call as EventEmitter).on('cancelled', () => {
    const reason = new FleetError({ code: status.CANCELLED, reason: 'CANCELLED', message: 'the call has ended' });
    host.openStreams.delete(working);
    ended.abort(reason);
    working.abort(reason);
  });
  const deadline = Number(call.getDeadline());
  return {
    ended: ended.signal,
    context: {
      method: call.getPath(),
      signal: working.signal,
      metadata: call.metadata,
      peer: call.getPeer(),
      deadline: Number.isFinite(deadline) ? deadline : undefined,
      log: host.log,
    },
  };
}
