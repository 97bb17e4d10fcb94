import { expect, test } from 'vitest';
import { parseCommand } from './options.ts';

test('defaults', () => {
  expect(parseCommand(['--socket', '/run/a.sock'], '1.2.3')).toEqual({
    kind: 'run',
    options: {
      socket: '/run/a.sock',
      logLevel: 'info',
      forwarding: {
        ringBytes: 76_800_000,
        transmit: 'auto',
        busyPollUs: 0,
        workers: 1,
        cpus: [],
        exclusiveInput: false,
      },
      mrouteTable: undefined,
    },
  });
});

test('everything', () => {
  const args = [
    '--socket=/run/a.sock',
    '--ring-bytes=1048576',
    '--transmit=sendmmsg',
    '--busy-poll-us=200',
    '--workers=2',
    '--cpus=3,1',
    '--exclusive-input',
    '--mroute-table=100',
    '--log-level',
    'debug',
  ];
  expect(parseCommand(args, '1.2.3')).toEqual({
    kind: 'run',
    options: {
      socket: '/run/a.sock',
      logLevel: 'debug',
      forwarding: {
        ringBytes: 1048576,
        transmit: 'sendmmsg',
        busyPollUs: 200,
        workers: 2,
        cpus: [3, 1],
        exclusiveInput: true,
      },
      mrouteTable: 100,
    },
  });
});

test.each(['0', '100000000', '1.5', 'main', ''])("'%s' is no multicast routing table", (table) => {
  expect(parseCommand(['--socket', 'x', '--mroute-table', table], '1')).toEqual({
    kind: 'usage-error',
    message: `--mroute-table is '${table}'; it is the number of a multicast routing table, from 1 to 99999999`,
  });
});

test('a ring is told by the time that it holds', () => {
  const ring = (ms: string): unknown => parseCommand(['--socket', 'x', '--ring-ms', ms], '1');
  expect(ring('100')).toMatchObject({ options: { forwarding: { ringBytes: 100 * 150 * 2048 } } });
  expect(ring('2')).toMatchObject({ options: { forwarding: { ringBytes: 2 * 150 * 2048 } } });
});

test('a list of CPUs may have ranges', () => {
  const cpus = (workers: string, list: string): unknown =>
    parseCommand(['--socket', 'x', '--workers', workers, '--cpus', list], '1');
  expect(cpus('4', '0-2,7')).toMatchObject({ options: { forwarding: { cpus: [0, 1, 2, 7] } } });
  expect(cpus('1', '5')).toMatchObject({ options: { forwarding: { cpus: [5] } } });
});

test('--version and --help print', () => {
  expect(parseCommand(['--version'], '1.2.3')).toEqual({ kind: 'print', text: '1.2.3\n' });
  expect(parseCommand(['-h'], '1.2.3')).toMatchObject({
    kind: 'print',
    text: expect.stringContaining('--ring-bytes N'),
  });
});

test('everything that is wrong is told at once', () => {
  expect(parseCommand(['--workers', '0', '--transmit', 'fast', '--log-level', 'loud'], '1')).toEqual({
    kind: 'usage-error',
    message: [
      '--socket PATH is missing',
      "--workers is '0'; it is a number of packet threads from 1 to 16",
      "--transmit is 'fast'; it is one of auto, gso, sendmmsg, io_uring",
      "--log-level is 'loud'; it is one of trace, debug, info, warn, error, fatal, silent",
    ].join('\n'),
  });
});

test.each([
  [[], /--socket PATH is missing/],
  [['--socket', ''], /--socket PATH is missing/],
  [['--socket', 'x', '--ring-bytes', '1k'], /--ring-bytes is '1k'; it is a number of bytes from/],
  [['--socket', 'x', '--ring-bytes', '1'], /from 262144 to/],
  [['--socket', 'x', '--ring-bytes', '1e12'], /from 262144 to/],
  [['--socket', 'x', '--ring-ms', '1'], /--ring-ms is '1'; it is a number of milliseconds from 2 to 3000/],
  [['--socket', 'x', '--ring-ms', '9', '--ring-bytes', '1048576'], /give one of them/],
  [['--socket', 'x', '--busy-poll-us', '1001'], /--busy-poll-us is '1001'; .* microseconds from 0 to 1000/],
  [['--socket', 'x', '--busy-poll-us', ''], /--busy-poll-us is ''/],
  [['--socket', 'x', '--workers', '0'], /--workers is '0'; it is a number of packet threads from 1 to 16/],
  [['--socket', 'x', '--workers', '17'], /--workers is '17'/],
  [['--socket', 'x', '--cpus', '0,1'], /--cpus names 2 CPUs for 1 packet threads; give one for each/],
  [['--socket', 'x', '--cpus', ''], /--cpus is ''; it is a list of CPUs from 0 to 8191/],
  [['--socket', 'x', '--cpus', '2-1'], /--cpus is '2-1'/],
  [['--socket', 'x', '--cpus', '9999'], /--cpus is '9999'/],
  [['--socket', 'x', '--cpus', 'one'], /--cpus is 'one'/],
  [['--socket', 'x', '--transmit', 'fast'], /--transmit is 'fast'; it is one of auto, gso, sendmmsg, io_uring/],
  [['--socket', 'x', '--log-level', 'loud'], /'loud'; it is one of trace, debug/],
  [['--socket', 'x', '--nope'], /--nope/],
  [['--socket', 'x', 'extra'], /extra/],
])('%j is a usage error', (args, message) => {
  expect(parseCommand(args, '1')).toMatchObject({ kind: 'usage-error', message: expect.stringMatching(message) });
});
