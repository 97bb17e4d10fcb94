import { status } from '@grpc/grpc-js';
import { FleetError } from '@mcfleet/common/error';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { INITIAL_STATE, type SessionEvent, type SessionState, transition } from './session-state.ts';

const ended = (error?: FleetError, retryDelayMs?: number): SessionEvent => ({ event: 'ended', error, retryDelayMs });
const error = (code: status, reason: string, retryDelayMs?: number): FleetError =>
  new FleetError({ code, reason, message: reason, retryDelayMs });

function play(controllers: number, ...events: SessionEvent[]) {
  let state: SessionState = INITIAL_STATE;
  const effects = events.flatMap((event) => {
    const result = transition(state, event, controllers);
    state = result.to;
    return result.effects;
  });
  return { state, effects };
}

describe('the session', () => {
  it('tries the controllers in turn, and stays with one that was good', () => {
    const tried = play(3, { event: 'retry' }, ended(), { event: 'retry' }, ended(), { event: 'retry' });
    expect(tried.effects.flatMap((e) => (e.effect === 'open' ? [e.controller] : []))).toEqual([0, 1, 2]);
    const kept = play(3, { event: 'retry' }, { event: 'welcome', sessionId: 's' }, ended(), { event: 'retry' });
    expect(kept.state).toEqual({ state: 'greeting', controller: 0 });
    expect(kept.effects).toContainEqual({ effect: 'wait', atLeastMs: 0, startOver: true });
  });

  it('waits as long as the controller asks, and does not start over after a refusal', () => {
    const refused = play(1, { event: 'retry' }, ended(error(status.RESOURCE_EXHAUSTED, 'TOO_MANY_SESSIONS', 1234)));
    expect(refused.effects).toContainEqual({ effect: 'wait', atLeastMs: 1234, startOver: false });
    const drained = play(
      1,
      { event: 'retry' },
      { event: 'welcome', sessionId: 's' },
      ended(error(status.UNAVAILABLE, 'SHUTTING_DOWN'), 2500),
    );
    expect(drained.effects).toContainEqual({ effect: 'wait', atLeastMs: 2500, startOver: true });
  });

  it('does not fight another agent of the same name', () => {
    const replaced = play(
      1,
      { event: 'retry' },
      { event: 'welcome', sessionId: 's' },
      ended(error(status.ABORTED, 'SESSION_REPLACED')),
    );
    expect(replaced.effects).toContainEqual({ effect: 'wait', atLeastMs: 5000, startOver: false });
  });

  it('never opens a second connection and never leaves stopped, whatever happens', () => {
    const event = fc.oneof(
      fc.constant<SessionEvent>({ event: 'retry' }),
      fc.constant<SessionEvent>({ event: 'welcome', sessionId: 's' }),
      fc.constant<SessionEvent>(ended()),
      fc.constant<SessionEvent>({ event: 'stop' }),
    );
    fc.assert(
      fc.property(fc.array(event), fc.integer({ min: 1, max: 4 }), (events, controllers) => {
        let state: SessionState = INITIAL_STATE;
        let open = 0;
        let stopped = false;
        for (const next of events) {
          const { to, effects } = transition(state, next, controllers);
          if (next.event === 'ended' && state.state !== 'disconnected' && state.state !== 'stopped') open -= 1;
          for (const effect of effects) {
            if (effect.effect === 'open') {
              open += 1;
              expect(effect.controller).toBeLessThan(controllers);
            }
            expect(stopped).toBe(false);
          }
          expect(open).toBeLessThanOrEqual(1);
          stopped ||= to.state === 'stopped';
          if (stopped) expect(to.state).toBe('stopped');
          state = to;
        }
      }),
    );
  });
});
