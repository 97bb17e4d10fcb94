import { status } from '@grpc/grpc-js';
import type { FleetError } from '@mcfleet/common/error';

/**
 * Where the agent's session to its controllers stands.
 *
 *                 ┌────────────── ended ──────────────┐
 *     start       ▼    retry                welcome   │
 *     ─────▶ disconnected ─────▶ greeting ──────────▶ streaming
 *                 ▲                  │ ended, refused
 *                 └──────────────────┘
 *     any ── stop ──▶ stopped
 *
 * `greeting`: the stream is open, Hello is sent, Welcome awaited. What the host forwards depends on none of this.
 */
export type SessionState =
  | { readonly state: 'disconnected'; readonly next: number }
  | { readonly state: 'greeting'; readonly controller: number }
  | { readonly state: 'streaming'; readonly controller: number; readonly sessionId: string }
  | { readonly state: 'stopped' };

/** What can happen to it. */
export type SessionEvent =
  | { readonly event: 'retry' }
  | { readonly event: 'welcome'; readonly sessionId: string }
  | { readonly event: 'ended'; readonly error: FleetError | undefined; readonly retryDelayMs: number | undefined }
  | { readonly event: 'stop' };

/** What is to be done then. */
export type SessionEffect =
  | { readonly effect: 'open'; readonly controller: number }
  | { readonly effect: 'wait'; readonly atLeastMs: number; readonly startOver: boolean };

/** Another agent runs under this host's name: coming back at once would throw it out, and it us. */
const REPLACED_DELAY_MS = 5_000;

export const INITIAL_STATE: SessionState = { state: 'disconnected', next: 0 };

/**
 * The next state and what to do. Pure.
 *
 * @param controllers how many controllers there are; they are tried in turn.
 */
export function transition(
  from: SessionState,
  event: SessionEvent,
  controllers: number,
): { readonly to: SessionState; readonly effects: readonly SessionEffect[] } {
  const stay = { to: from, effects: [] };
  if (from.state === 'stopped') return stay;
  switch (event.event) {
    case 'stop':
      return { to: { state: 'stopped' }, effects: [] };
    case 'retry':
      if (from.state !== 'disconnected') return stay;
      return { to: { state: 'greeting', controller: from.next }, effects: [{ effect: 'open', controller: from.next }] };
    case 'welcome':
      if (from.state !== 'greeting') return stay;
      return { to: { state: 'streaming', controller: from.controller, sessionId: event.sessionId }, effects: [] };
    case 'ended': {
      if (from.state === 'disconnected') return stay;
      const replaced = event.error?.code === status.ABORTED && event.error.reason === 'SESSION_REPLACED';
      const asked = event.retryDelayMs ?? event.error?.retryDelayMs ?? 0;
      return {
        // A session that was good is most likely good again at the same place; otherwise it is the next one's turn.
        to: {
          state: 'disconnected',
          next: from.state === 'streaming' ? from.controller : (from.controller + 1) % controllers,
        },
        effects: [
          {
            effect: 'wait',
            atLeastMs: Math.max(asked, replaced ? REPLACED_DELAY_MS : 0),
            startOver: from.state === 'streaming' && !replaced,
          },
        ],
      };
    }
  }
}
