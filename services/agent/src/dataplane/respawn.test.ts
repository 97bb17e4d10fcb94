import { ManualClock } from '@mcfleet/common/manual-clock';
import { describe, expect, it } from 'vitest';
import { faultOfExit, RespawnPolicy } from './respawn.ts';

const KILLED = { code: null, signal: 'SIGKILL' as const };

describe('RespawnPolicy', () => {
  it('starts the next data plane at once after one that was well, and ever later while they end quickly', () => {
    const clock = new ManualClock();
    const policy = new RespawnPolicy(clock);
    policy.started();
    policy.answered();
    clock.advance(60_000);
    expect(policy.delayAfter(KILLED)).toBe(0);
    const delays = Array.from({ length: 9 }, () => {
      policy.started();
      clock.advance(50);
      return policy.delayAfter({ code: 1, signal: null });
    });
    expect(delays).toEqual([0, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
    policy.started();
    clock.advance(60_000);
    expect(policy.delayAfter({ code: 1, signal: null })).toBe(5_000);
    policy.started();
    policy.answered();
    clock.advance(1_000);
    expect(policy.delayAfter(KILLED)).toBe(0);
  });

  it('does not hurry where only a person can help', () => {
    const policy = new RespawnPolicy(new ManualClock());
    policy.started();
    expect(policy.delayAfter({ code: 77, signal: null })).toBe(30_000);
    expect(faultOfExit({ code: 77, signal: null })).toMatchObject({
      reason: 'MissingCapability',
      message: expect.stringContaining('CAP_NET_RAW'),
    });
    expect(faultOfExit(KILLED)).toMatchObject({
      reason: 'DataplaneEnded',
      message: expect.stringContaining('SIGKILL'),
    });
  });
});
