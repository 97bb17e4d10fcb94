import { expect, test } from 'vitest';
import { markdownTable } from './markdown-table.ts';

test('a table is aligned, numbers to the right', () => {
  expect(
    markdownTable(
      ['name', 'pps'],
      [
        ['1 -> 1', '1,000'],
        ['x', '>= 5'],
        ['n', 'n/a'],
      ],
    ),
  ).toBe(
    ['| name   | pps   |', '|--------|-------|', '| 1 -> 1 | 1,000 |', '| x      |  >= 5 |', '| n      | n/a   |'].join(
      '\n',
    ),
  );
});
