import { describe, expect, it } from 'vitest';
import { UsageError } from '../exit.ts';
import { parseDuration } from './duration.ts';
import { printable } from './printable.ts';
import { matches, parseSelector } from './selector.ts';
import { mostSimilar } from './similar.ts';

describe('mostSimilar', () => {
  it.each([
    ['prot', ['port', 'sources'], 'port'],
    ['match_labels', ['names', 'matchLabels'], 'matchLabels'],
    ['Outputs', ['outputs'], 'outputs'],
    ['adress', ['address', 'source'], 'address'],
    ['zebra', ['port', 'group'], undefined],
    ['x'.repeat(5000), ['port'], undefined],
  ])('%s of %s', (word, candidates, expected) => {
    expect(mostSimilar(word, candidates)).toBe(expected);
  });
});

describe('parseDuration', () => {
  it.each([
    ['500ms', 500],
    ['10s', 10_000],
    ['1.5m', 90_000],
    ['1h', 3_600_000],
    ['3', 3000],
    ['0s', undefined],
    ['-1s', undefined],
    ['10 s', undefined],
    ['1d', undefined],
    ['9999h', undefined],
  ])('%s', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });
});

describe('parseSelector', () => {
  it('reads labels', () => {
    expect(parseSelector('role=edge, mcfleet.io/site==studio-2,empty=')).toEqual({
      role: 'edge',
      'mcfleet.io/site': 'studio-2',
      empty: '',
    });
  });

  it.each(['', 'role', 'a=b,', 'a!=b', '=b', 'a=b,a=c', 'a in (b)'])('refuses %j', (text) => {
    expect(() => parseSelector(text)).toThrow(UsageError);
  });

  it('matches labels that carry all of it', () => {
    expect(matches({ a: '1' }, { a: '1', b: '2' })).toBe(true);
    expect(matches({ a: '1', c: '3' }, { a: '1' })).toBe(false);
  });
});

describe('printable', () => {
  it('shows control characters instead of sending them', () => {
    expect(printable('a\u001b[31m\u202eb\nc')).toBe('a\\x1b[31m\\u202eb\\x0ac');
    expect(printable('a\nb', { lines: true })).toBe('a\nb');
  });
});
