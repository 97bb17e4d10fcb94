import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { benchCases } from './cases.ts';
import { engineNames } from './engine.ts';
import { parseCommand } from './options.ts';

test('without options everything is measured', () => {
  expect(parseCommand([])).toEqual({
    kind: 'run',
    cases: benchCases,
    relays: engineNames,
    quick: false,
    fewer: false,
    realtime: false,
    verbose: false,
    json: undefined,
    writeDocs: false,
    require: false,
  });
});

test('cases are named, and an unknown one is refused with the known ones', () => {
  const command = parseCommand(['--quick', '--only', 'latency-10k,1to1', '--json', 'x.json']);
  expect(command).toMatchObject({ kind: 'run', quick: true, fewer: false, json: 'x.json', writeDocs: false });
  expect(parseCommand(['--write-docs', '--realtime'])).toMatchObject({ kind: 'run', writeDocs: true });
  expect(command.kind === 'run' && command.cases.map(({ id }) => id)).toEqual(['1to1', 'latency-10k']);
  expect(parseCommand(['--only', '1to1,2to2'])).toMatchObject({
    kind: 'usage-error',
    message: expect.stringMatching(/no case 2to2; there are: 1to1, /),
  });
});

test('quick leaves cases out, but none that was named', () => {
  expect(parseCommand(['--quick'])).toMatchObject({ quick: true, fewer: true });
});

test('relays are named, and an unknown one is refused', () => {
  expect(parseCommand(['--relays', 'socat,mcfleet'])).toMatchObject({ relays: ['mcfleet', 'socat'] });
  expect(parseCommand(['--relays', 'socat2'])).toMatchObject({
    kind: 'usage-error',
    message: expect.stringMatching(/no socat2; there are: mcfleet, /),
  });
});

test('other options are refused', () => {
  expect(parseCommand(['--fast'])).toMatchObject({ kind: 'usage-error' });
  expect(parseCommand(['1to1'])).toMatchObject({ kind: 'usage-error' });
});

test('every case is listed once', () => {
  const list = parseCommand(['--list']);
  const ids =
    list.kind === 'print'
      ? list.text
          .trimEnd()
          .split('\n')
          .map((line) => line.split(' ')[0])
      : [];
  expect(ids).toEqual(benchCases.map(({ id }) => id));
  expect(new Set(ids).size).toBe(ids.length);
});

test.each([
  [['--write-docs', '--quick'], /^--write-docs .*leave out --quick, or/],
  [['--write-docs', '--only', '1to1', '--relays', 'socat'], /leave out --only, --relays, or/],
  [['--only', 'idle', '--relays', 'socat'], /^--relays: none of socat relays in idle$/],
])('%j is refused', (args, message) => {
  expect(parseCommand(args)).toEqual({ kind: 'usage-error', message: expect.stringMatching(message) });
});

test('what the README says to type is understood', () => {
  const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8');
  const typed = [...readme.matchAll(/^npm run bench -- (.*?) *(?:#.*)?$/gm)].map(([, args = '']) => args.split(' '));
  expect(typed.map((args) => parseCommand(args).kind)).toEqual(['run', 'print']);
});
