import { type ClientOptions, connectivityState } from '@grpc/grpc-js';
import { callUnary, createClient } from '@mcfleet/common/grpc/client';
import { SerialQueue } from '@mcfleet/common/serial-queue';
import {
  type ApplyRequest,
  type ApplyResponse,
  DataplaneServiceClient,
  type SnapshotResponse,
  type StatusResponse,
} from '@mcfleet/proto/mcfleet/v1/dataplane_service';
import { WholeSnapshot } from './whole-snapshot.ts';

/** A local call; a data plane that needs longer than this is not well. Reading is quick, Apply may set up rings of many relays. */
const READ_TIMEOUT_MS = 2_000;
const APPLY_TIMEOUT_MS = 10_000;
/** More for each relay that the data plane has or is given: the counters of 10,000 took more than two seconds on a machine with 25 at its two cores. */
const TIMEOUT_MS_PER_RELAY = 1;

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
  readonly #whole = new WholeSnapshot();
  /** Readings of all relays, one after the other. */
  readonly #readings = new SerialQueue();
  #closed = false;
  /** How many relays the data plane has, as far as is known. */
  #relays = 0;

  constructor(socketPath: string) {
    this.#client = createClient(
      DataplaneServiceClient,
      { kind: 'unix', path: socketPath },
      { maxMessageBytes: MAX_MESSAGE_BYTES, channelOptions: OPTIONS },
    );
  }

  async status(signal?: AbortSignal): Promise<StatusResponse> {
    const bound = signal === undefined ? {} : { signal };
    const facts = await callUnary(this.#client, 'status', {}, { timeoutMs: this.#readTimeoutMs, ...bound });
    this.#relays = facts.relays;
    return facts;
  }

  /** @param uids only these relays; empty: all, of which the data plane tells those that changed since they were read last. */
  snapshot(uids: string[] = []): Promise<SnapshotResponse> {
    return uids.length === 0 ? this.#readings.run(() => this.#readAll()) : this.#read(uids, '');
  }

  async #readAll(): Promise<SnapshotResponse> {
    const snapshot = this.#whole.take(await this.#read([], this.#whole.since));
    this.#relays = snapshot.relays.length;
    return snapshot;
  }

  #read(uids: string[], since: string): Promise<SnapshotResponse> {
    return callUnary(this.#client, 'snapshot', { uids, since }, { timeoutMs: this.#readTimeoutMs });
  }

  async apply(request: ApplyRequest): Promise<ApplyResponse> {
    const more = request.upserts.length;
    const timeoutMs = APPLY_TIMEOUT_MS + (this.#relays + more) * TIMEOUT_MS_PER_RELAY;
    const response = await callUnary(this.#client, 'apply', request, { timeoutMs });
    // Some may have been there before: they count twice until all are read.
    this.#relays += more;
    return response;
  }

  /** For status too: calls wait for the one that is carried out, which may be about all relays. */
  get #readTimeoutMs(): number {
    return READ_TIMEOUT_MS + this.#relays * TIMEOUT_MS_PER_RELAY;
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
