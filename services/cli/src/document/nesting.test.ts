import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { maxNesting, tooDeepAt } from './nesting.ts';
import { parseRelays } from './parse.ts';

const flow = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
const block = (depth: number): string => Array.from({ length: depth }, (_, i) => `${' '.repeat(i)}a:\n`).join('');
const compact = (depth: number): string => `${'- '.repeat(depth)}x\n`;

describe('tooDeepAt', () => {
  it.each([
    ['brackets', flow],
    ['lines', block],
    ['dashes in one line', compact],
    ['mappings in a list', (depth: number) => `a:\n  - ${flow(depth - 2)}`],
  ] as const)('finds %s that are nested too deeply, and none that are not', (_, text) => {
    expect(tooDeepAt(text(maxNesting - 1))).toBeUndefined();
    expect(tooDeepAt(text(maxNesting + 2))).toBeGreaterThan(0);
    for (const depth of [5_000, 200_000]) if (text !== block) expect(tooDeepAt(text(depth))).toBeGreaterThan(0);
  });

  it('counts no text, however it is indented, and nothing twice', () => {
    const text = `${' '.repeat(4)}- [{\n`.repeat(200);
    expect(tooDeepAt(`a: |\n${text}b: "${'[{ '.repeat(200)}"\n# ${'[ '.repeat(200)}\n`)).toBeUndefined();
    expect(tooDeepAt('a: {b: [1, 2]}\nc:\n  - d: 1\n    e: 2\n---\n'.repeat(500))).toBeUndefined();
  });

  it('takes every document that is not deep, as it may be written', () => {
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { depthSize: 'small', maxDepth: 8 },
        fc.string(),
        fc.array(tie('tree')),
        fc.dictionary(fc.string(), tie('tree')),
      ),
    }));
    fc.assert(
      fc.property(tree, fc.integer({ min: 1, max: 8 }), (value, indent) => {
        expect(tooDeepAt(stringify(value, { indent }))).toBeUndefined();
      }),
    );
  });

  it('is one violation of the file, at its place', () => {
    for (const text of [flow(5_000), '['.repeat(5_000), `x: y\nz: ${flow(5_000)}`]) {
      const { relays, violations } = parseRelays('r.yaml', text);
      expect(relays).toEqual([]);
      expect(violations).toMatchObject([
        { message: 'is nested more than 64 levels deep; nothing of a relay is deeper than 6' },
      ]);
    }
    expect(parseRelays('r.yaml', `x: y\nz: ${flow(5_000)}`).violations[0]?.position).toEqual({
      file: 'r.yaml',
      line: 2,
      column: 67,
    });
  });
});
