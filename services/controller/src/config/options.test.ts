import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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

test('an empty file sets nothing', () => {
  writeFileSync(file, '# nothing\n');
  expect(readOptions(['--config', file], {})?.logLevel).toBe('info');
});
