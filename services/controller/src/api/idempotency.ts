import { refusal } from '../errors.ts';
import type { FleetStore, Transaction } from '../store/store.ts';
import { validateRequestId } from './requests.ts';
import { canonicalHash } from './tokens.ts';

interface Codec<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(input: Uint8Array): T;
}

/** A call that writes. */
export interface WriteCall<Response> {
  /** Name of the method. */
  readonly method: string;
  readonly requestId: string;
  readonly validateOnly: boolean;
  /** The whole request as JSON; the same request, the same JSON up to the order of keys. */
  readonly requestJson: unknown;
  readonly response: Codec<Response>;
}

/**
 * Runs a write. With `validateOnly` it is taken back. With a request id that was used within 24 hours it is not run: the same
 * request gets the same answer.
 *
 * @throws FleetError REQUEST_ID_REUSED if the id was used for another request
 */
export async function runWrite<Response>(
  store: FleetStore,
  call: WriteCall<Response>,
  work: (transaction: Transaction) => Response,
): Promise<Response> {
  const { requestId, response, method } = call;
  validateRequestId(requestId);
  if (call.validateOnly) return store.dryRun(work);
  if (requestId === '') return store.write(work);
  const bodyHash = Buffer.from(canonicalHash([method, call.requestJson]));
  return store.write((transaction) => {
    const known = transaction.findRequest(requestId);
    if (known === undefined) {
      const answer = work(transaction);
      transaction.rememberRequest(requestId, { bodyHash, response: response.encode(answer).finish() });
      return answer;
    }
    if (!bodyHash.equals(known.bodyHash)) {
      const message = `request_id ${requestId} was used for another request within 24 hours: make a new one for each request`;
      throw refusal('REQUEST_ID_REUSED', message, {
        violations: [{ field: 'request_id', description: 'was used for another request' }],
      });
    }
    return response.decode(known.response);
  });
}
