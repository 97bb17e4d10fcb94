import {
  type handleBidiStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { FleetError } from '../error.ts';
import { toServiceError } from '../status-details.ts';
import { type CallContext, openCall } from './call-context.ts';
import { requestStream } from './request-stream.ts';
import { type ResponseStream, responseStream } from './response-stream.ts';

export type { CallContext } from './call-context.ts';
export type { ResponseStream } from './response-stream.ts';

/** Both directions of a bidirectional call. */
export interface BidiStream<Req, Res> extends ResponseStream<Res> {
  /** The client's messages; ends when the client half-closes or goes away, throws when the call ends or the server stops. */
  readonly requests: AsyncIterable<Req>;
}

/** Makes a gRPC handler of a function that answers a request or throws. */
export function unary<Req, Res>(
  handle: (request: Req, context: CallContext) => Promise<Res>,
): handleUnaryCall<Req, Res> {
  return (call, respond) => {
    const { context } = openCall(call);
    answer(() => handle(call.request, context)).then(
      (response) => respond(null, response),
      (thrown: unknown) => respond(toStatus(thrown, context)),
    );
  };
}

/** Makes a gRPC handler of a function that writes responses; the call ends when its promise settles. */
export function serverStream<Req, Res>(
  handle: (request: Req, context: CallContext, responses: ResponseStream<Res>) => Promise<void>,
): handleServerStreamingCall<Req, Res> {
  return (call) => {
    const { context, ended } = openCall(call);
    answer(() => handle(call.request, context, responseStream(call, ended))).then(
      () => call.end(),
      (thrown: unknown) => call.emit('error', toStatus(thrown, context)),
    );
  };
}

/** Makes a gRPC handler of a function that reads requests and writes responses; the call ends when its promise settles. */
export function bidiStream<Req, Res>(
  handle: (context: CallContext, stream: BidiStream<Req, Res>) => Promise<void>,
): handleBidiStreamingCall<Req, Res> {
  return (call) => {
    const { context, ended } = openCall(call);
    const stream = { ...responseStream(call, ended), requests: requestStream(call, context.signal) };
    answer(() => handle(context, stream)).then(
      () => call.end(),
      (thrown: unknown) => call.emit('error', toStatus(thrown, context)),
    );
  };
}

/** A handler that throws before its first await fails like any other. */
async function answer<Res>(handle: () => Promise<Res>): Promise<Res> {
  return await handle();
}

/** Everything but a FleetError is a defect: it goes to the log, and the client learns no internals. */
function toStatus(thrown: unknown, { log, method, peer }: CallContext): ServiceError {
  if (thrown instanceof FleetError) {
    const { code, reason } = thrown;
    if (code === status.INTERNAL || code === status.DATA_LOSS) log.error({ method, peer, err: thrown }, 'call failed');
    else log.debug({ method, peer, code, reason, message: thrown.message }, 'call refused');
    return toServiceError(thrown);
  }
  log.error({ method, peer, err: thrown }, 'call failed by a defect');
  const message = `internal error in ${method}; the log of the server says more`;
  return toServiceError(new FleetError({ code: status.INTERNAL, reason: 'INTERNAL', message, cause: thrown }));
}
