import { SnapshotResponse } from '@mcfleet/proto/mcfleet/v1/dataplane_service';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WholeSnapshot } from '../../services/agent/src/dataplane/whole-snapshot.ts';
import { ChangeLog } from '../../services/dataplane/src/change-log.ts';

/** A data plane as its readers see it: relays that count, and the log of their changes. */
class Counting {
  log = new ChangeLog();
  readonly relays = new Map<string, bigint>();

  count(uid: string): void {
    const before = this.relays.get(uid);
    if (before === undefined) return;
    this.relays.set(uid, before + 1n);
    this.log.note([uid]);
  }

  apply(uid: string): void {
    this.relays.set(uid, this.relays.get(uid) ?? 0n);
    this.log.note([uid]);
  }

  remove(uid: string): void {
    if (this.relays.delete(uid)) this.log.remove([uid]);
  }

  restart(): void {
    this.log = new ChangeLog();
    this.relays.clear();
  }

  all(): [string, bigint | undefined][] {
    return [...this.relays].sort();
  }

  /** @param counting a relay that counts while the answer is put together */
  answer(since: string, counting: string | undefined): SnapshotResponse {
    const { mark, changed } = this.log.read(since);
    if (counting !== undefined) this.count(counting);
    const relays = (changed ?? [...this.relays.keys()]).map((uid) => ({
      ...{ uid, generation: 1n, digest: Buffer.alloc(0) },
      counters: { rxPackets: this.relays.get(uid) ?? 0n },
    }));
    return SnapshotResponse.fromPartial({ mark, partial: changed !== undefined, relays });
  }
}

const uid = fc.constantFrom('a', 'b', 'c', 'd');
const reader = fc.nat({ max: 2 });
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ act: fc.constant('count' as const), uid }) },
  { weight: 3, arbitrary: fc.record({ act: fc.constant('apply' as const), uid }) },
  { weight: 1, arbitrary: fc.record({ act: fc.constant('remove' as const), uid }) },
  { weight: 1, arbitrary: fc.record({ act: fc.constant('restart' as const) }) },
  { weight: 6, arbitrary: fc.record({ act: fc.constant('read' as const), reader, lost: fc.boolean(), counting: uid }) },
);

describe('a reader of what has changed', () => {
  it('has what all relays would tell, whatever it missed and whoever else reads', () => {
    let partial = 0;
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const dataplane = new Counting();
        const readers = [new WholeSnapshot(), new WholeSnapshot(), new WholeSnapshot()];
        for (const one of steps) {
          if (one.act === 'restart') dataplane.restart();
          else if (one.act !== 'read') dataplane[one.act](one.uid);
          else {
            const own = readers[one.reader];
            if (own === undefined) throw new Error('there is no such reader');
            const during = dataplane.answer(own.since, one.counting);
            if (!one.lost) own.take(during);
            // What counted while that was put together may be in it or not.
            const answer = dataplane.answer(own.since, undefined);
            if (answer.partial) partial += 1;
            const has = own.take(answer).relays.map((relay) => [relay.uid, relay.counters?.rxPackets]);
            expect(has.sort()).toEqual(dataplane.all());
          }
        }
      }),
      { numRuns: 500 },
    );
    expect(partial).toBeGreaterThan(100);
  });
});
