import { ManualClock } from '@mcfleet/common/manual-clock';
import { describe, expect, it } from 'vitest';
import { faultOfExit, RespawnPolicy } from './respawn.ts';

const KILLED = { code: null, signal: 'SIGKILL' as const, said: '' };
const ended = (code: number, said = '') => ({ code, signal: null, said });

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
      return policy.delayAfter(ended(1));
    });
    expect(delays).toEqual([0, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
    policy.started();
    clock.advance(60_000);
    expect(policy.delayAfter(ended(1))).toBe(5_000);
    policy.started();
    policy.answered();
    clock.advance(1_000);
    expect(policy.delayAfter(KILLED)).toBe(0);
  });

  it('does not hurry where only a person can help', () => {
    const policy = new RespawnPolicy(new ManualClock());
    policy.started();
    expect(policy.delayAfter(ended(77))).toBe(30_000);
    expect(faultOfExit(ended(77))).toMatchObject({
      reason: 'MissingCapability',
      message: expect.stringContaining('CAP_NET_RAW'),
    });
    for (const code of [2, 78]) {
      expect(policy.delayAfter(ended(code))).toBe(30_000);
      expect(faultOfExit(ended(code, 'there is no CPU 99'))).toEqual({
        reason: 'OptionsRefused',
        message:
          'the data plane cannot be started with the options that the agent has for it: there is no CPU 99; start the agent with others',
      });
    }
    expect(faultOfExit(ended(1, 'no disk'))).toMatchObject({
      message: 'the data plane ended with exit code 1: no disk; another one is being started',
    });
    expect(faultOfExit(KILLED)).toMatchObject({
      reason: 'DataplaneEnded',
      message: expect.stringContaining('SIGKILL'),
    });
  });
});
