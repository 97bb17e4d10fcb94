import type { ServerDuplexStream, ServerWritableStream } from '@grpc/grpc-js';
import { FleetError } from '../error.ts';

/** Where a handler sends its messages. */
export interface ResponseStream<Res> {
  /**
   * Sends one message. Resolves when HTTP/2 has taken it, so that awaiting each write holds the handler to the pace of the client.
   *
   * @throws FleetError CANCELLED when the call has ended
   */
  write(message: Res): Promise<void>;
}

/**
 * Writes to a call. grpc-js counts 16 messages of any size before it pushes back, and never calls back for a write after the call
 * ended; hence each write waits for its own callback or the end, whichever comes first.
 */
export function responseStream<Req, Res>(
  call: ServerWritableStream<Req, Res> | ServerDuplexStream<Req, Res>,
  ended: AbortSignal,
): ResponseStream<Res> {
  return {
    write: (message) =>
      new Promise((resolve, reject) => {
        if (ended.aborted) {
          reject(ended.reason);
          return;
        }
        const onEnd = (): void => reject(ended.reason);
        ended.addEventListener('abort', onEnd, { once: true });
        call.write(message, (error: Error | null | undefined) => {
          ended.removeEventListener('abort', onEnd);
          if (error) reject(FleetError.from(ended.aborted ? ended.reason : error));
          else resolve();
        });
      }),
  };
}
