import { status } from '@grpc/grpc-js';
import { FleetError } from '@mcfleet/common/error';
import { ConfigUpdate, type RelayAssignment } from '@mcfleet/proto/mcfleet/v1/agent_service';
import type { CompleteUpdate } from '../cache/held-state.ts';

/** Bytes of one update, all chunks together: about 100,000 relays. */
const MAX_UPDATE_BYTES = 64 * 1024 * 1024;

interface Partial {
  readonly first: ConfigUpdate;
  readonly upserts: RelayAssignment[];
  readonly removedUids: string[];
  nextChunk: number;
  bytes: number;
}

/**
 * Puts the chunks of an update together. One per session: what a broken session left unfinished is dropped with it, as an update
 * is carried out as a whole or not at all.
 */
export class UpdateAssembler {
  #partial: Partial | undefined;
  /** An update that was refused midway: its other chunks are passed over. */
  #refused: bigint | undefined;
  readonly #maxBytes: number;

  constructor(maxBytes: number = MAX_UPDATE_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /**
   * Takes the next chunk.
   *
   * @returns the update if this was its last chunk.
   * @throws FleetError INVALID_ARGUMENT (UPDATE_CHUNK_OUT_OF_ORDER, UPDATE_CHUNK_MISMATCH) or RESOURCE_EXHAUSTED
   *   (UPDATE_TOO_LARGE), once per update.
   */
  add(chunk: ConfigUpdate): CompleteUpdate | undefined {
    if (chunk.nonce === this.#refused) return undefined;
    // A new nonce: the controller has begun anew, what was there of the old update is void.
    const partial: Partial =
      this.#partial?.first.nonce === chunk.nonce
        ? this.#partial
        : { first: chunk, upserts: [], removedUids: [], nextChunk: 0, bytes: 0 };
    this.#partial = partial;
    try {
      this.#check(partial, chunk);
    } catch (thrown) {
      this.#partial = undefined;
      this.#refused = chunk.nonce;
      throw thrown;
    }
    partial.upserts.push(...chunk.upserts);
    partial.removedUids.push(...chunk.removedUids);
    partial.nextChunk += 1;
    if (!chunk.lastChunk) return undefined;
    this.#partial = undefined;
    return {
      nonce: chunk.nonce,
      term: chunk.term,
      revision: chunk.revision,
      baseRevision: chunk.baseRevision,
      upserts: partial.upserts,
      removedUids: partial.removedUids,
      targetStateHash: chunk.targetStateHash,
    };
  }

  #check(partial: Partial, chunk: ConfigUpdate): void {
    const { first } = partial;
    if (chunk.chunk !== partial.nextChunk) {
      throw refusal('UPDATE_CHUNK_OUT_OF_ORDER', `chunk ${chunk.chunk} came, ${partial.nextChunk} was next`, chunk);
    }
    const same =
      chunk.term === first.term && chunk.revision === first.revision && chunk.baseRevision === first.baseRevision;
    if (!same) throw refusal('UPDATE_CHUNK_MISMATCH', `chunk ${chunk.chunk} is of another update than chunk 0`, chunk);
    partial.bytes += ConfigUpdate.encode(chunk).finish().length;
    if (partial.bytes > this.#maxBytes) {
      throw new FleetError({
        code: status.RESOURCE_EXHAUSTED,
        reason: 'UPDATE_TOO_LARGE',
        message: `the update to revision ${chunk.revision} has more than ${this.#maxBytes} bytes; give this host fewer relays`,
      });
    }
  }
}

function refusal(reason: string, what: string, chunk: ConfigUpdate): FleetError {
  return new FleetError({
    code: status.INVALID_ARGUMENT,
    reason,
    message: `the update to revision ${chunk.revision} (nonce ${chunk.nonce}) is broken: ${what}`,
  });
}
