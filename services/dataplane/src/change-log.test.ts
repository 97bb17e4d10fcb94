import { describe, expect, it } from 'vitest';
import { ChangeLog } from './change-log.ts';

describe('ChangeLog', () => {
  it('tells all to who names no reading of its own, and then what has changed since the reading that is named', () => {
    const log = new ChangeLog();
    log.note(['a', 'b']);
    const first = log.read('');
    expect(first.changed).toBeUndefined();
    expect(log.read(first.mark).changed).toEqual([]);
    log.note(['b']);
    const second = log.read(first.mark);
    expect(second.changed).toEqual(['b']);
    // The answer was lost: it is told again, and also what came in between.
    log.note(['a']);
    expect(new Set(log.read(first.mark).changed)).toEqual(new Set(['a', 'b']));
    expect(log.read(second.mark).changed).toEqual(['a']);
  });

  it('tells all when one has gone, once to each reader', () => {
    const log = new ChangeLog();
    log.note(['a', 'b']);
    const [one, other] = [log.read(''), log.read('')];
    log.remove(['a']);
    const next = log.read(one.mark);
    expect(next.changed).toBeUndefined();
    expect(log.read(next.mark).changed).toEqual([]);
    expect(log.read(other.mark).changed).toBeUndefined();
    // It comes again.
    log.note(['a']);
    expect(log.read(next.mark).changed).toEqual(['a']);
  });

  it('tells all to who names a reading of another data plane, one that there was not, or nothing that it understands', () => {
    const log = new ChangeLog();
    const { mark } = log.read('');
    const [epoch] = mark.split('-');
    const others = [
      new ChangeLog().read('').mark,
      `${epoch}-999`,
      `${epoch}-0`,
      `${epoch}-`,
      `${epoch}`,
      `${epoch}-1e0`,
    ];
    for (const other of others) expect(log.read(other).changed, other).toBeUndefined();
    expect(log.read(mark).changed).toEqual([]);
  });
});
