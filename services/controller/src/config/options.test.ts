import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FleetError } from '@mcfleet/common/error';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readOptions } from './options.ts';

let directory: string;
let file: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'mcfleet-config-'));
  file = join(directory, 'controller.yaml');
});

afterEach(() => rmSync(directory, { recursive: true }));

test('has defaults', () => {
  expect(readOptions([], {})).toMatchObject({
    adminListen: { kind: 'tcp', host: '127.0.0.1', port: 7400 },
    agentListen: { kind: 'tcp', host: '127.0.0.1', port: 7401 },
    logLevel: 'info',
    heartbeatMs: undefined,
  });
});

test('reads a file; the command line wins', () => {
  writeFileSync(
    file,
    'data-dir: /srv/a\nadmin-listen: "[::1]:1"\nagent-listen: 10.0.0.1:2\ninsecure: true\nheartbeat-interval: 2m\n',
  );
  expect(readOptions(['--config', file, '--data-dir', '/srv/b'], {})).toEqual({
    dataDir: '/srv/b',
    adminListen: { kind: 'tcp', host: '::1', port: 1 },
    agentListen: { kind: 'tcp', host: '10.0.0.1', port: 2 },
    logLevel: 'info',
    heartbeatMs: 120_000,
    isRestored: false,
  });
});

test.each([
  ['data-dir: a\nnope: 1\n', /controller.yaml:2:1: unknown key "nope"/],
  ['insecure: 1\n', /controller.yaml:1:11: insecure must be a boolean/],
  ['data-dir: 7\n', /controller.yaml:1:11: data-dir must be a text/],
  ['data-dir: {a: b}\n', /controller.yaml:1:1: data-dir must be a text/],
  ['- a\n', /controller.yaml:1:1: the file must be a map/],
  ['data-dir: a\ndata-dir: b\n', /controller.yaml:2:1: Map keys must be unique/],
  ['config: x\n', /controller.yaml:1:1: unknown key "config"/],
  ['store: etcd\n', /etcd is not available/],
])('refuses %j', (text, expected) => {
  writeFileSync(file, text);
  expect(() => readOptions(['--config', file], {})).toThrow(expected);
});

test('tells everything that is wrong, of the file and of the command line', () => {
  writeFileSync(file, 'nope: 1\ninsecure: 1\nlog-level: loud\nstore: x\nadmin-listen: nowhere\nstore: y\n');
  const args = ['--config', file, '--agent-listen', '0.0.0.0:1', '--heartbeat-interval', '0s'];
  const expected = [
    `${file}:6:1: Map keys must be unique`,
    `${file}:1:1: unknown key "nope"`,
    `${file}:2:11: insecure must be a boolean`,
    'store y is not known',
    "admin-listen: 'nowhere' is not an address",
    'agent-listen: 0.0.0.0:1 can be reached from other machines',
    'log-level loud is not known',
    'heartbeat-interval 0s is not an interval',
  ];
  expect(linesOf(args)).toEqual(expected.map((line) => expect.stringMatching(literally(line))));
});

test('tells of a file that is no YAML only where it begins to be none', () => {
  writeFileSync(file, 'data-dir: a\n\tstore: b\n  x: y\nnope: 1\n');
  expect(linesOf(['--config', file, '--log-level', 'loud'])).toEqual([
    expect.stringMatching(literally(`${file}:2:1: Tabs are not allowed`)),
    expect.stringMatching(/^log-level loud/),
  ]);
});

test.each([
  ['127.0.0.1:7400', '127.0.0.1:7400'],
  ['0.0.0.0:7400', '127.0.0.1:7400'],
  ['[::1]:7400', '[::]:7400'],
  ['localhost:7400', '127.0.0.1:7400'],
  ['[::]:7400', '0.0.0.0:7400'],
  ['unix:/run/a.sock', 'unix:/run/a.sock'],
])('refuses listeners of its own in one place: %s and %s', (admin, agent) => {
  const args = ['--insecure', '--admin-listen', admin, '--agent-listen', agent];
  expect(linesOf(args)).toEqual([
    `agent-listen ${agent} and admin-listen ${admin} are the same place: give each a port or path of its own`,
  ]);
});

test.each([
  ['127.0.0.1:0', '127.0.0.1:0'],
  ['127.0.0.1:7400', '127.0.0.2:7400'],
  ['0.0.0.0:7400', '[::1]:7400'],
  ['unix:/run/a.sock', 'unix:/run/b.sock'],
])('takes listeners in two places: %s and %s', (admin, agent) => {
  expect(readOptions(['--insecure', '--admin-listen', admin, '--agent-listen', agent], {})).toMatchObject({});
});

/** What is wrong with a command line. */
function linesOf(args: readonly string[]): string[] {
  try {
    readOptions(args, {});
  } catch (thrown) {
    return FleetError.from(thrown).message.split('\n');
  }
  return [];
}

/** The beginning of a line. */
function literally(text: string): RegExp {
  return new RegExp(`^${text.replaceAll(/[.[\]]/g, '\\$&')}`);
}

test('an empty file sets nothing', () => {
  writeFileSync(file, '# nothing\n');
  expect(readOptions(['--config', file], {})).toMatchObject({ logLevel: 'info' });
});
