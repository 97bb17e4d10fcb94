import { status } from '@grpc/grpc-js';
import { ProgrammedRelay } from '@mcfleet/proto/mcfleet/v1/dataplane_service';
import { describe, expect, it } from 'vitest';
import { isWaiting, Refusals } from './refusals.ts';

const program = ProgrammedRelay.fromPartial({ uid: 'a', digest: Buffer.from([1]) });
const changed = ProgrammedRelay.fromPartial({ uid: 'a', digest: Buffer.from([2]) });
const transient = { code: status.RESOURCE_EXHAUSTED, reason: 'NoMemory', message: 'no memory for a ring' };
const permanent = { code: status.INVALID_ARGUMENT, reason: 'Invalid', message: 'bad' };

describe('Refusals', () => {
  it('never sends a program again that was refused for good, until it changes', () => {
    const refusals = new Refusals();
    refusals.record(program, permanent, 0);
    expect(refusals.blocks(program, 1e12)).toBe(true);
    expect(refusals.problemOf(program)).toBe(permanent);
    expect(refusals.blocks(changed, 0)).toBe(false);
    expect(refusals.problemOf(changed)).toBeUndefined();
    expect(refusals.nextRetryAt()).toBeUndefined();
  });

  it('tries a transient one again with growing, capped delays', () => {
    const refusals = new Refusals(() => 0.999);
    const delays: number[] = [];
    for (let now = 0, round = 0; round < 10; round++) {
      refusals.record(program, transient, now);
      const next = refusals.nextRetryAt() ?? Number.NaN;
      expect(refusals.blocks(program, next - 1)).toBe(true);
      expect(refusals.blocks(program, next)).toBe(false);
      delays.push(Math.round(next - now));
      now = next;
    }
    expect(delays.slice(0, 3)).toEqual([500, 999, 1998]);
    expect(Math.max(...delays)).toBeLessThanOrEqual(30_000);
  });

  it('forgets what is no longer desired', () => {
    const refusals = new Refusals();
    refusals.record(program, permanent, 0);
    refusals.retain(new Set(['b']));
    expect(refusals.blocks(program, 0)).toBe(false);
  });
});

describe('isWaiting', () => {
  it('tells a relay that waits from one that is wrong', () => {
    expect(isWaiting(transient)).toBe(true);
    expect(isWaiting(permanent)).toBe(false);
    expect(isWaiting({ code: status.FAILED_PRECONDITION, reason: 'InterfaceNotFound', message: '' })).toBe(true);
  });
});
