import { contentHash, stateHash } from '@mcfleet/common/state-hash';
import { ConfigUpdate, RelayAssignment } from '@mcfleet/proto/mcfleet/v1/agent_service';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { applyUpdate, EMPTY_STATE, type HeldState, hashOf } from '../cache/held-state.ts';
import { decodeStateFile, encodeStateFile } from '../cache/state-file.ts';
import { UpdateAssembler } from './update-assembler.ts';

/** What a controller wants of one host, and how it brings an agent there: written from agent_service.proto, not from the agent. */
class ScriptedController {
  readonly desired = new Map<string, RelayAssignment>();
  revision = 0n;
  #nonce = 0n;

  set(uid: string, there: boolean): void {
    this.revision += 1n;
    if (there) this.desired.set(uid, assignment(uid, this.revision));
    else this.desired.delete(uid);
  }

  /** The chunks that answer a Hello: none if it holds what it shall hold, else the difference or everything. */
  sync(held: HeldState, chunkRelays: number, difference: boolean): ConfigUpdate[] {
    const target = stateHash(this.desired.values());
    if (hashOf(held).equals(target) && held.revision > 0n) return [];
    const delta = difference && held.revision > 0n;
    const upserts = [...this.desired.values()].filter(
      ({ uid, generation }) => !delta || held.assignments.get(uid)?.generation !== generation,
    );
    const removed = delta ? [...held.assignments.keys()].filter((uid) => !this.desired.has(uid)) : [];
    this.#nonce += 1n;
    const count = Math.max(1, Math.ceil(upserts.length / chunkRelays));
    return Array.from({ length: count }, (_, chunk) =>
      ConfigUpdate.fromPartial({
        nonce: this.#nonce,
        term: 1n,
        revision: this.revision,
        baseRevision: delta ? held.revision : 0n,
        chunk,
        lastChunk: chunk === count - 1,
        upserts: upserts.slice(chunk * chunkRelays, (chunk + 1) * chunkRelays),
        removedUids: chunk === 0 ? removed : [],
        targetStateHash: target,
      }),
    );
  }
}

function assignment(uid: string, generation: bigint): RelayAssignment {
  const relay = { input: { interface: 'in0', group: '239.1.1.1' }, outputs: [{ interface: `out${generation}` }] };
  return RelayAssignment.fromPartial({
    uid,
    generation,
    contentHash: contentHash(Buffer.from(`${uid}/${generation}`)),
    relay,
  });
}

const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('set' as const),
      uid: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
      there: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('session' as const),
      /** How many messages arrive before the stream breaks. */
      arrive: fc.nat({ max: 6 }),
      chunkRelays: fc.integer({ min: 1, max: 3 }),
      difference: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
);

describe('resuming a session', () => {
  it('ends with what the controller means, through any history of changes, broken sessions and restarts', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (history) => {
        const controller = new ScriptedController();
        let held = EMPTY_STATE;
        const session = (arrive: number, chunkRelays: number, difference: boolean): void => {
          const assembler = new UpdateAssembler();
          for (const chunk of controller.sync(held, chunkRelays, difference).slice(0, arrive)) {
            const received = ConfigUpdate.decode(ConfigUpdate.encode(chunk).finish());
            const before = held;
            const update = assembler.add(received);
            if (update === undefined) expect(held).toBe(before);
            else held = applyUpdate(held, 'c1', update);
          }
        };
        for (const next of history) {
          if (next.kind === 'set') controller.set(next.uid, next.there);
          else if (next.kind === 'session') session(next.arrive, next.chunkRelays, next.difference);
          else held = decodeStateFile(encodeStateFile(held));
        }
        session(Number.POSITIVE_INFINITY, 2, true);
        expect(hashOf(held)).toEqual(stateHash(controller.desired.values()));
        expect(new Set(held.assignments.keys())).toEqual(new Set(controller.desired.keys()));
      }),
      { numRuns: 300 },
    );
  });
});
