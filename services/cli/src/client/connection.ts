import { type ClientReadableStream, connectivityState, status } from '@grpc/grpc-js';
import { FleetError } from '@mcfleet/common/error';
import { type CallUnaryOptions, createClient } from '@mcfleet/common/grpc/client';
import { MAX_ADMIN_MESSAGE_BYTES } from '@mcfleet/common/grpc/limits';
import { type Address, formatAddress, parseListenAddress } from '@mcfleet/common/listen';
import { FleetServiceClient } from '@mcfleet/proto/mcfleet/v1/fleet_service';
import { RelayServiceClient } from '@mcfleet/proto/mcfleet/v1/relay_service';
import { UsageError } from '../exit.ts';
import { readStream } from './read-stream.ts';

/** Port of the controller's admin listener if --server names none. */
const defaultPort = 7400;

/** Milliseconds until a controller that does not answer the connection at all counts as unreachable. */
const connectTimeoutMs = 4000;

export interface ConnectionOptions {
  readonly address: Address;
  /** Milliseconds for one call, and at most for connecting. */
  readonly timeoutMs: number;
  /** Milliseconds more for each object that a call is about. Default 0. */
  readonly timeoutMsPerObject?: number;
}

/**
 * The address of --server: HOST, HOST:PORT, [IPV6]:PORT or unix:PATH.
 * @throws UsageError
 */
export function parseServer(text: string): Address {
  const hasPort = /:\d+$/.test(text) || text.startsWith('unix:');
  try {
    return parseListenAddress(hasPort ? text : `${text}:${defaultPort}`);
  } catch (thrown) {
    const { message } = FleetError.from(thrown);
    throw new UsageError(`--server: ${message}`, { cause: thrown });
  }
}

/** Calls to one controller. Errors are FleetErrors; an unreachable controller is UNAVAILABLE with what to check. */
export class Connection {
  readonly relays: RelayServiceClient;
  readonly fleet: FleetServiceClient;
  readonly #address: Address;
  readonly #timeoutMs: number;
  readonly #timeoutMsPerObject: number;

  constructor({ address, timeoutMs, timeoutMsPerObject = 0 }: ConnectionOptions) {
    this.#address = address;
    this.#timeoutMs = timeoutMs;
    this.#timeoutMsPerObject = timeoutMsPerObject;
    // A proxy for the web has no business between two programs of one machine.
    const local = address.kind === 'unix' || /^(127\.|::1$|localhost$)/.test(address.host);
    const channelOptions = local ? { 'grpc.enable_http_proxy': 0 } : {};
    const maxMessageBytes = MAX_ADMIN_MESSAGE_BYTES;
    this.relays = createClient(RelayServiceClient, address, { maxMessageBytes, channelOptions });
    // One connection for both.
    const shared = { channelOverride: this.relays.getChannel() };
    this.fleet = createClient(FleetServiceClient, address, { maxMessageBytes, channelOptions: shared });
  }

  /**
   * Makes one unary call: `call((options) => callUnary(connection.relays, 'getRelay', { name }, options))`.
   * @param objects how many objects the call is about, if many
   * @throws FleetError
   */
  async call<T>(invoke: (options: CallUnaryOptions) => Promise<T>, objects = 0): Promise<T> {
    using watchdog = this.#watchConnecting();
    const timeoutMs = this.#timeoutMs + objects * this.#timeoutMsPerObject;
    try {
      return await invoke({ timeoutMs, signal: watchdog.signal });
    } catch (thrown) {
      throw this.#explain(FleetError.from(thrown), timeoutMs);
    }
  }

  /**
   * The messages of a stream, opened once it is iterated; leaving the loop or the signal cancels the call.
   * @throws FleetError
   */
  async *stream<T>(open: () => ClientReadableStream<T>, signal: AbortSignal): AsyncGenerator<T> {
    using watchdog = this.#watchConnecting();
    yield* readStream(open, AbortSignal.any([signal, watchdog.signal]), (error) => this.#explain(error));
    if (watchdog.signal.aborted) throw FleetError.from(watchdog.signal.reason);
  }

  close(): void {
    this.relays.close();
  }

  /** Aborts, with the reason, when nobody answers within a few seconds: long before the system gives up a connection. */
  #watchConnecting(): Disposable & { readonly signal: AbortSignal } {
    const abort = new AbortController();
    const waitMs = Math.min(connectTimeoutMs, this.#timeoutMs);
    const timer = setTimeout(() => {
      if (!this.#isConnected()) abort.abort(this.#unreachable(`no answer within ${waitMs / 1000} s`));
    }, waitMs);
    return { signal: abort.signal, [Symbol.dispose]: () => clearTimeout(timer) };
  }

  #isConnected(): boolean {
    return this.relays.getChannel().getConnectivityState(false) === connectivityState.READY;
  }

  /** An error of the transport says which address was tried, and what to check. */
  #explain(error: FleetError, timeoutMs: number = this.#timeoutMs): FleetError {
    const fromTransport = error.reason === status[error.code];
    if (fromTransport && error.message.startsWith('Received HTTP status code')) {
      return this.#unreachable(`something else answers there (${error.message})`, error);
    }
    if (error.code === status.UNIMPLEMENTED && fromTransport) return this.#notTheApi(error);
    if (error.code === status.UNAVAILABLE && fromTransport)
      return this.#unreachable(transportReason(error.message), error);
    if (error.code === status.DEADLINE_EXCEEDED && fromTransport) {
      if (!this.#isConnected()) return this.#unreachable(`no answer within ${timeoutMs / 1000} s`, error);
      return new FleetError({
        code: error.code,
        reason: error.reason,
        message: `the controller at ${formatAddress(this.#address)} did not answer within ${timeoutMs / 1000} s; a longer wait: --timeout`,
        cause: error,
      });
    }
    return error;
  }

  /** Everything that the command calls is on one listener; the one for agents is next to it. */
  #notTheApi(cause: FleetError): FleetError {
    return new FleetError({
      code: cause.code,
      reason: cause.reason,
      message: `${formatAddress(this.#address)} does not serve the admin API (${cause.message}). Give the controller's --admin-listen address (--server or MCFLEET_SERVER), not the one for agents; a controller of an older version must be upgraded`,
      cause,
    });
  }

  #unreachable(why: string, cause?: unknown): FleetError {
    if (cause instanceof FleetError && cause.reason === 'CONTROLLER_UNREACHABLE') return cause;
    return new FleetError({
      code: status.UNAVAILABLE,
      reason: 'CONTROLLER_UNREACHABLE',
      message: `cannot reach the controller at ${formatAddress(this.#address)}: ${why}. Check that it runs (mcfleet controller) and that the address is right (--server or MCFLEET_SERVER)`,
      cause,
    });
  }
}

/** The kernel's reason out of what grpc-js says about a failed connection. */
function transportReason(message: string): string {
  if (message.includes('ECONNREFUSED')) return 'connection refused';
  if (message.includes('ENOENT')) return 'there is no such socket';
  if (/ENOTFOUND|EAI_AGAIN|Name resolution failed/.test(message)) return 'the host name cannot be resolved';
  if (/ENETUNREACH|EHOSTUNREACH/.test(message)) return 'there is no route to it';
  if (/ECONNRESET|Connection dropped|Connection closed/.test(message)) return 'the connection was closed';
  if (message.includes('Protocol error')) return 'something else answers there (it does not speak gRPC)';
  return message;
}
