import { ManualClock } from '@mcfleet/common/manual-clock';
import { expect, test } from 'vitest';
import { type AgentIdentity, type Duplicate, DuplicateAgents } from './duplicate-agents.ts';

const agent = (instanceUid: string, startMs: number): AgentIdentity => ({
  instanceUid,
  startMs,
  peer: `of ${instanceUid}`,
});
const first = agent('a', 1);
const second = agent('b', 2);

function fixture() {
  const clock = new ManualClock();
  const changes: (Duplicate | undefined)[] = [];
  const agents = new DuplicateAgents({ clock, forgetMs: 1000, onChange: (_, duplicate) => changes.push(duplicate) });
  return { clock, changes, agents };
}

test('an agent that was started again takes over, as often as it likes, and that is no duplicate', () => {
  const { agents, changes } = fixture();
  for (let i = 0; i < 20; i++) expect(agents.mayTakeOver('h', agent(`p${i}`, i), agent(`p${i + 1}`, i + 1))).toBe(true);
  expect(agents.mayTakeOver('h', second, second)).toBe(true);
  expect(changes).toEqual([]);
});

test('one that comes back lives beside the other: the one started later keeps the session', () => {
  const { agents, changes } = fixture();
  expect(agents.mayTakeOver('h', first, second)).toBe(true);
  expect(agents.mayTakeOver('h', second, first)).toBe(false);
  expect(agents.mayTakeOver('h', second, first)).toBe(false);
  expect(changes).toEqual([
    { holder: second, rival: first },
    { holder: second, rival: first },
  ]);
});

test('the order in which they connect does not matter, nor do clocks that agree', () => {
  const { agents, changes } = fixture();
  expect(agents.mayTakeOver('h', second, first)).toBe(true);
  expect(agents.mayTakeOver('h', first, second)).toBe(true);
  expect(agents.mayTakeOver('h', second, first)).toBe(false);
  expect(changes.at(-1)).toEqual({ holder: second, rival: first });
  const twin = agent('c', first.startMs);
  expect(agents.mayTakeOver('other', first, twin)).toBe(true);
  expect(agents.mayTakeOver('other', twin, first)).toBe(false);
});

test('it is over when the other has not come for a while, and begins anew after that', () => {
  const { agents, changes, clock } = fixture();
  agents.mayTakeOver('h', first, second);
  agents.mayTakeOver('h', second, first);
  clock.advance(999);
  agents.mayTakeOver('h', second, first);
  clock.advance(999);
  expect(changes).toHaveLength(2);
  clock.advance(1);
  expect(changes.at(-1)).toBeUndefined();
  expect(agents.mayTakeOver('h', second, first)).toBe(true);
  expect(changes).toHaveLength(3);
});
