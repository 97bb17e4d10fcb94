import { type ClientOptions, connectivityState } from '@grpc/grpc-js';
import { callUnary, createClient } from '@mcfleet/common/grpc/client';
import {
  type ApplyRequest,
  type ApplyResponse,
  DataplaneServiceClient,
  type SnapshotResponse,
  type StatusResponse,
} from '@mcfleet/proto/mcfleet/v1/dataplane_service';

/** A local call; a data plane that needs longer than this is not well. Reading is quick, Apply may set up rings of many relays. */
const READ_TIMEOUT_MS = 2_000;
const APPLY_TIMEOUT_MS = 10_000;

/** Snapshots of a host with many relays. */
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;

const OPTIONS: ClientOptions = {
  // Calls are repeated by the reconciler, from what the data plane then says it has.
  'grpc.enable_retries': 0,
  // Subchannels in the global pool keep their reconnect back-off after the client is closed.
  'grpc.use_local_subchannel_pool': 1,
};

/** One connection to the data plane behind a unix socket. Used until it is lost; then another one is made. */
export class DataplaneClient {
  readonly #client: DataplaneServiceClient;
  #closed = false;

  constructor(socketPath: string) {
    this.#client = createClient(
      DataplaneServiceClient,
      { kind: 'unix', path: socketPath },
      { maxMessageBytes: MAX_MESSAGE_BYTES, channelOptions: OPTIONS },
    );
  }

  status(signal?: AbortSignal): Promise<StatusResponse> {
    const bound = signal === undefined ? {} : { signal };
    return callUnary(this.#client, 'status', {}, { timeoutMs: READ_TIMEOUT_MS, ...bound });
  }

  /** @param uids only these relays; empty: all. */
  snapshot(uids: string[] = []): Promise<SnapshotResponse> {
    return callUnary(this.#client, 'snapshot', { uids }, { timeoutMs: READ_TIMEOUT_MS });
  }

  apply(request: ApplyRequest): Promise<ApplyResponse> {
    return callUnary(this.#client, 'apply', request, { timeoutMs: APPLY_TIMEOUT_MS });
  }

  /**
   * Calls `listener` once when the connection is lost. The kernel closes the socket in the moment the other process dies, however
   * it dies, so this needs no polling.
   */
  onLost(listener: () => void): void {
    const channel = this.#client.getChannel();
    const check = (): void => {
      if (this.#closed) return;
      const now = channel.getConnectivityState(false);
      if (now === connectivityState.READY) channel.watchConnectivityState(now, Number.POSITIVE_INFINITY, check);
      else listener();
    };
    check();
  }

  close(): void {
    this.#closed = true;
    this.#client.close();
  }
}
