import {
  type CallOptions,
  type ChannelCredentials,
  type Client,
  type ClientOptions,
  type ClientUnaryCall,
  credentials as grpcCredentials,
  Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import { FleetError } from '../error.ts';
import { type Address, formatAddress } from '../listen.ts';
import { fromServiceError } from '../status-details.ts';

/** What ts-proto generates as `XyzClient` for a service. */
export type ClientConstructor<C extends Client> = new (
  target: string,
  credentials: ChannelCredentials,
  options?: Partial<ClientOptions>,
) => C;

export interface CreateClientOptions {
  /** Default: without TLS. */
  readonly credentials?: ChannelCredentials;
  /** Bytes of the largest message, both ways. Default: 4 MiB. */
  readonly maxMessageBytes?: number;
  /** More options of grpc-js; they win. */
  readonly channelOptions?: Partial<ClientOptions>;
}

/** A client with the keepalive that mcfleet's servers expect. It connects with its first call. */
export function createClient<C extends Client>(
  Constructor: ClientConstructor<C>,
  address: Address,
  {
    credentials = grpcCredentials.createInsecure(),
    maxMessageBytes = 4 * 1024 * 1024,
    channelOptions,
  }: CreateClientOptions = {},
): C {
  return new Constructor(formatAddress(address), credentials, {
    'grpc.max_receive_message_length': maxMessageBytes,
    'grpc.max_send_message_length': maxMessageBytes,
    'grpc.enable_channelz': 0,
    'grpc.keepalive_time_ms': 20_000,
    'grpc.keepalive_timeout_ms': 10_000,
    'grpc.initial_reconnect_backoff_ms': 500,
    'grpc.max_reconnect_backoff_ms': 30_000,
    ...channelOptions,
  });
}

/** A unary method of a generated client, in the one of its forms that takes everything. */
type UnaryMethod<Req, Res> = (
  request: Req,
  metadata: Metadata,
  options: Partial<CallOptions>,
  callback: (error: ServiceError | null, response: Res) => void,
) => ClientUnaryCall;

/** Names of the unary methods of a generated client. */
type UnaryName<C> = string & { [Name in keyof C]: Unary<C, Name> extends never ? never : Name }[keyof C];

type Unary<C, Name extends keyof C> = C[Name] extends UnaryMethod<infer Req, infer Res> ? [Req, Res] : never;
type RequestOf<C, Name extends keyof C> = Unary<C, Name>[0];
type ResponseOf<C, Name extends keyof C> = Unary<C, Name>[1];

export interface CallUnaryOptions {
  /** Milliseconds after which the call fails with DEADLINE_EXCEEDED. */
  readonly timeoutMs: number;
  /** Cancels the call. */
  readonly signal?: AbortSignal;
  readonly metadata?: Metadata;
}

/**
 * Calls a unary method: `await callUnary(client, 'getRelay', { name }, { timeoutMs: 15_000 })`.
 *
 * @throws FleetError with what the server said, or `signal.reason` when the signal aborted
 */
export function callUnary<C extends Client, Name extends UnaryName<C>>(
  client: C,
  method: Name,
  request: RequestOf<C, Name>,
  { timeoutMs, signal, metadata = new Metadata() }: CallUnaryOptions,
): Promise<ResponseOf<C, Name>> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(FleetError.from(signal.reason));
      return;
    }
    const invoke = (client[method] as UnaryMethod<RequestOf<C, Name>, ResponseOf<C, Name>>).bind(client);
    const onAbort = (): void => call.cancel();
    const call = invoke(request, metadata, { deadline: Date.now() + timeoutMs }, (error, response) => {
      signal?.removeEventListener('abort', onAbort);
      if (error === null) resolve(response);
      else reject(signal?.aborted ? FleetError.from(signal.reason) : fromServiceError(error));
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
