import { describe, expect, it } from 'vitest';
import { parseAgentOptions } from './options.ts';

const ROOT = { env: {}, uid: 0 };
const USER = { env: { HOME: '/home/u' }, uid: 1000 };
const REQUIRED = ['--name', 'edge-1', '--controller', '127.0.0.1:7401'];

describe('parseAgentOptions', () => {
  it('fills in defaults for root and for others', () => {
    expect(parseAgentOptions(REQUIRED, ROOT)).toEqual({
      name: 'edge-1',
      controllers: [{ kind: 'tcp', host: '127.0.0.1', port: 7401 }],
      stateDir: '/var/lib/mcfleet/agent',
      dataplaneSocket: '/run/mcfleet/dataplane.sock',
      labels: {},
      adoptCluster: '',
      logLevel: 'info',
    });
    expect(parseAgentOptions(REQUIRED, USER)).toMatchObject({
      stateDir: '/home/u/.local/state/mcfleet/agent',
      dataplaneSocket: '/home/u/.local/state/mcfleet/agent/dataplane.sock',
    });
    const xdg = { env: { HOME: '/home/u', XDG_STATE_HOME: '/state' }, uid: 1000 };
    expect(parseAgentOptions(REQUIRED, xdg)?.stateDir).toBe('/state/mcfleet/agent');
  });

  it('takes several controllers and labels', () => {
    const args = [
      '--name',
      'e',
      '--controller',
      'a:1,[::1]:2',
      '--insecure',
      '--labels',
      'role=edge,example.com/site=',
    ];
    expect(parseAgentOptions(args, ROOT)).toMatchObject({
      controllers: [
        { host: 'a', port: 1 },
        { host: '::1', port: 2 },
      ],
      labels: { role: 'edge', 'example.com/site': '' },
    });
  });

  it('returns nothing for --help', () => {
    expect(parseAgentOptions(['--help'], ROOT)).toBeUndefined();
  });

  it.each<[string, string[], string, string]>([
    ['no name', ['--controller', '127.0.0.1:1'], '--name', 'required'],
    ['a bad name', ['--name', 'Edge_1', '--controller', '127.0.0.1:1'], '--name', "'Edge_1'"],
    ['no controller', ['--name', 'e'], '--controller', 'required'],
    ['an empty controller', ['--name', 'e', '--controller', ','], '--controller', "','"],
    ['a bad address', ['--name', 'e', '--controller', 'nowhere'], '--controller', "'nowhere'"],
    ['port 0', ['--name', 'e', '--controller', '127.0.0.1:0'], '--controller', '127.0.0.1:0'],
    ['plain text to elsewhere', ['--name', 'e', '--controller', '10.0.0.1:7401'], '--controller', '--insecure'],
    ['a bad label', [...REQUIRED, '--labels', 'role'], '--labels', "'role'"],
    ['a bad label key', [...REQUIRED, '--labels=-x=1'], '--labels', "'-x'"],
    ['a bad level', [...REQUIRED, '--log-level', 'loud'], '--log-level', "'loud'"],
    ['an empty path', [...REQUIRED, '--state-dir', ''], '--state-dir', "''"],
    ['a long socket path', [...REQUIRED, '--dataplane-socket', `/${'x'.repeat(120)}`], '--dataplane-socket', '107'],
    ['an unknown option', [...REQUIRED, '--nmae', 'x'], 'arguments', '--nmae'],
    ['an option without its value', [...REQUIRED, '--labels', '--insecure'], 'arguments', '--labels'],
    ['a stray argument', [...REQUIRED, 'stray'], 'arguments', 'stray'],
  ])('refuses %s, naming option and value', (_what, args, field, text) => {
    expect(() => parseAgentOptions(args, ROOT)).toThrow(
      expect.objectContaining({
        reason: 'USAGE',
        violations: [expect.objectContaining({ field, description: expect.stringContaining(text) })],
      }),
    );
  });

  it('tells everything that is wrong at once', () => {
    expect(() => parseAgentOptions(['--name', '!', '--labels', 'x', '--log-level', 'y'], ROOT)).toThrow(
      expect.objectContaining({ violations: expect.objectContaining({ length: 4 }) }),
    );
  });
});
