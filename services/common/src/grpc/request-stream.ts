import type { ServerDuplexStream } from '@grpc/grpc-js';

/**
 * The client's messages, in order, until it says that there are no more. Reads from the network only as fast as the messages are
 * taken. Throws `signal.reason` when the signal aborts. A client that goes away often looks like one that has no more to say: HTTP/2
 * tells the end of the stream first, and the reset a moment later. Can be iterated once.
 */
export async function* requestStream<Req, Res>(
  call: ServerDuplexStream<Req, Res>,
  signal: AbortSignal,
): AsyncGenerator<Req, void> {
  let wake: (() => void) | undefined;
  let finished = false;
  const onReadable = (): void => wake?.();
  const onEnd = (): void => {
    finished = true;
    wake?.();
  };
  // Not an async iterator of the stream: leaving its loop would destroy the stream, and with it the status that is to be sent.
  call.on('readable', onReadable);
  call.on('end', onEnd);
  signal.addEventListener('abort', onReadable);
  try {
    while (!finished) {
      signal.throwIfAborted();
      const message = call.read() as Req | null;
      if (message !== null) {
        yield message;
        continue;
      }
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  } finally {
    call.off('readable', onReadable);
    call.off('end', onEnd);
    signal.removeEventListener('abort', onReadable);
  }
}
