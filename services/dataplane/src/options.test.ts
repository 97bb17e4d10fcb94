import { expect, test } from 'vitest';
import { parseCommand } from './options.ts';

test('defaults', () => {
  expect(parseCommand(['--socket', '/run/a.sock'], '1.2.3')).toEqual({
    kind: 'run',
    options: { socket: '/run/a.sock', ringBytes: 78643200, logLevel: 'info' },
  });
});

test('everything', () => {
  const args = ['--socket=/run/a.sock', '--ring-bytes=1048576', '--log-level', 'debug'];
  expect(parseCommand(args, '1.2.3')).toEqual({
    kind: 'run',
    options: { socket: '/run/a.sock', ringBytes: 1048576, logLevel: 'debug' },
  });
});

test('--version and --help print', () => {
  expect(parseCommand(['--version'], '1.2.3')).toEqual({ kind: 'print', text: '1.2.3\n' });
  expect(parseCommand(['-h'], '1.2.3')).toMatchObject({
    kind: 'print',
    text: expect.stringContaining('--ring-bytes N'),
  });
});

test.each([
  [[], /--socket PATH is missing/],
  [['--socket', ''], /--socket PATH is missing/],
  [['--socket', 'x', '--ring-bytes', '1k'], /--ring-bytes is '1k'; it is a number of bytes from/],
  [['--socket', 'x', '--ring-bytes', '1'], /from 262144 to/],
  [['--socket', 'x', '--ring-bytes', '1e12'], /from 262144 to/],
  [['--socket', 'x', '--log-level', 'loud'], /'loud'; it is one of trace, debug/],
  [['--socket', 'x', '--nope'], /--nope/],
  [['--socket', 'x', 'extra'], /extra/],
])('%j is a usage error', (args, message) => {
  expect(parseCommand(args, '1')).toMatchObject({ kind: 'usage-error', message: expect.stringMatching(message) });
});
