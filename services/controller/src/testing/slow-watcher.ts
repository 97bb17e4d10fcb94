import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import { type Address, formatAddress } from '@mcfleet/common/listen';
import { WatchRelaysRequest, WatchRelaysResponse } from '@mcfleet/proto/mcfleet/v1/relay_service';

/** Bytes before each message in a gRPC stream: a flag, and the length. */
const PREFIX_BYTES = 5;

/**
 * Watches relays over bare HTTP/2 and reads nothing until it is told to. A grpc-js client takes messages from the network whether
 * anybody reads them or not, and so is never slow.
 */
export class SlowWatcher {
  readonly #session: ClientHttp2Session;
  readonly #stream: ClientHttp2Stream;

  constructor(admin: Address, request: WatchRelaysRequest) {
    this.#session = connect(`http://${formatAddress(admin)}`);
    this.#stream = this.#session.request({
      ':method': 'POST',
      ':path': '/mcfleet.v1.RelayService/WatchRelays',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const body = WatchRelaysRequest.encode(request).finish();
    const prefix = Buffer.alloc(PREFIX_BYTES);
    prefix.writeUInt32BE(body.length, 1);
    this.#stream.end(Buffer.concat([prefix, body]));
  }

  /** Reads from now on; `messages` grows. */
  read(messages: WatchRelaysResponse[]): void {
    let rest = Buffer.alloc(0);
    this.#stream.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      for (;;) {
        const end = rest.length < PREFIX_BYTES ? Number.POSITIVE_INFINITY : PREFIX_BYTES + rest.readUInt32BE(1);
        if (rest.length < end) return;
        messages.push(WatchRelaysResponse.decode(rest.subarray(PREFIX_BYTES, end)));
        rest = rest.subarray(end);
      }
    });
  }

  cancel(): void {
    this.#session.destroy();
  }
}
