import { contentHash } from '@mcfleet/common/state-hash';
import { ProgrammedRelay } from '@mcfleet/proto/mcfleet/v1/dataplane_service';

/**
 * Completes a program by its digest. The data plane keeps and tells it, so that an agent that adopts a running data plane sees
 * what agrees without sending anything.
 */
export function withDigest(program: Omit<ProgrammedRelay, 'digest'>): ProgrammedRelay {
  const undigested: ProgrammedRelay = { ...program, digest: Buffer.alloc(0) };
  return { ...undigested, digest: contentHash(ProgrammedRelay.encode(undigested).finish()) };
}
