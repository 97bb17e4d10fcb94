import type { ClientReadableStream, ServiceError } from '@grpc/grpc-js';
import type { FleetError } from '@mcfleet/common/error';
import { fromServiceError } from '@mcfleet/common/status-details';

/**
 * The messages of a server's stream. Ends when the server ends it or the signal aborts; leaving the loop cancels the call.
 * @throws FleetError what the server said, after `explain`
 */
export async function* readStream<T>(
  open: () => ClientReadableStream<T>,
  signal: AbortSignal,
  explain: (error: FleetError) => FleetError,
): AsyncGenerator<T> {
  if (signal.aborted) return;
  const stream = open();
  const cancel = (): void => stream.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  try {
    for await (const message of stream) yield message as T;
  } catch (thrown) {
    if (signal.aborted) return;
    throw explain(fromServiceError(thrown as ServiceError));
  } finally {
    signal.removeEventListener('abort', cancel);
    // After its end a call is cancelled without effect; before it, the error that this makes has nobody to tell.
    stream.on('error', () => undefined);
    stream.cancel();
  }
}
