import { expect, test } from 'vitest';
import { ManualClock } from './manual-clock.ts';
import { isUuid, uuidv7 } from './uuid.ts';

test('version, variant and time are where RFC 9562 puts them', () => {
  const clock = new ManualClock(Date.UTC(2100, 0, 1));
  const uuid = uuidv7(clock);
  expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(Number.parseInt(uuid.replaceAll('-', '').slice(0, 12), 16)).toBe(Date.UTC(2100, 0, 1));
});

test('ten thousand of one millisecond are different and in order', () => {
  const clock = new ManualClock(Date.UTC(2026, 0, 1));
  const uuids = Array.from({ length: 10_000 }, () => uuidv7(clock));
  expect(new Set(uuids).size).toBe(10_000);
  expect(uuids.toSorted()).toEqual(uuids);
});

test('a UUID is told from other text', () => {
  expect(isUuid(uuidv7())).toBe(true);
  expect(isUuid(uuidv7().toUpperCase())).toBe(true);
  for (const text of ['', 'c1', uuidv7().slice(1), `${uuidv7()}\n`, ` ${uuidv7()}`, uuidv7().replaceAll('-', '')])
    expect(isUuid(text), text).toBe(false);
});
