import { VERSION } from '@mcfleet/common/version';
import { describe, expect, it } from 'vitest';
import { type AgentOptions, parseAgentOptions, USAGE } from './options.ts';

const ROOT = { env: {}, uid: 0 };
const USER = { env: { HOME: '/home/u' }, uid: 1000 };
const REQUIRED = ['--name', 'edge-1', '--controller', '127.0.0.1:7401'];

/** What an agent is started with by such a command line. */
function started(args: readonly string[], around: Parameters<typeof parseAgentOptions>[1]): AgentOptions {
  const options = parseAgentOptions(args, around);
  if (typeof options === 'string') throw new Error(`prints ${options}`);
  return options;
}

describe('parseAgentOptions', () => {
  it('fills in defaults for root and for others', () => {
    expect(parseAgentOptions(REQUIRED, ROOT)).toEqual({
      name: 'edge-1',
      controllers: [{ kind: 'tcp', host: '127.0.0.1', port: 7401 }],
      stateDir: '/var/lib/mcfleet/agent',
      dataplaneSocket: '/run/mcfleet/dataplane.sock',
      labels: {},
      adoptCluster: '',
      dataplane: {
        options: {
          ringBytes: 76_800_000,
          busyPollUs: 0,
          workers: 1,
          cpus: [],
          transmit: 'auto',
          exclusiveInput: false,
        },
        mrouteTable: undefined,
        arguments: [],
      },
      logLevel: 'info',
    });
    expect(parseAgentOptions(REQUIRED, USER)).toMatchObject({
      stateDir: '/home/u/.local/state/mcfleet/agent',
      dataplaneSocket: '/home/u/.local/state/mcfleet/agent/dataplane.sock',
    });
    const xdg = { env: { HOME: '/home/u', XDG_STATE_HOME: '/state' }, uid: 1000 };
    expect(started(REQUIRED, xdg).stateDir).toBe('/state/mcfleet/agent');
  });

  it('takes the uid of a cluster, in either case', () => {
    const uid = '019a1b2c-3d4e-7f60-8a9b-0c1d2e3f4a5b';
    expect(started([...REQUIRED, '--adopt-cluster', uid], ROOT).adoptCluster).toBe(uid);
    expect(started([...REQUIRED, '--adopt-cluster', uid.toUpperCase()], ROOT).adoptCluster).toBe(uid);
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

  it('takes the options of the data plane, and passes on those that are given', () => {
    const given = [
      '--workers',
      '2',
      '--cpus',
      '0-1',
      '--ring-ms=100',
      '--busy-poll-us=50',
      '--transmit',
      'sendmmsg',
      '--exclusive-input',
      '--mroute-table=100',
    ];
    expect(started([...REQUIRED, ...given], ROOT).dataplane).toEqual({
      options: {
        ringBytes: 100 * 150 * 2048,
        busyPollUs: 50,
        workers: 2,
        cpus: [0, 1],
        transmit: 'sendmmsg',
        exclusiveInput: true,
      },
      mrouteTable: 100,
      arguments: [
        '--ring-ms=100',
        '--busy-poll-us=50',
        '--workers=2',
        '--cpus=0-1',
        '--transmit=sendmmsg',
        '--exclusive-input',
        '--mroute-table=100',
      ],
    });
  });

  it('returns nothing for --help, which has the options of the data plane too', () => {
    expect(parseAgentOptions(['--help'], ROOT)).toBe(USAGE);
    expect(parseAgentOptions(['--version'], ROOT)).toBe(`${VERSION}\n`);
    for (const option of [
      'ring-ms N',
      'ring-bytes N',
      'busy-poll-us N',
      'workers N',
      'cpus LIST',
      'transmit HOW',
      'exclusive-input',
    ])
      expect(USAGE).toMatch(new RegExp(`^  --${option} `, 'm'));
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
    ['no cluster', [...REQUIRED, '--adopt-cluster', ''], '--adopt-cluster', "'' is no cluster"],
    [
      'any text for a cluster',
      [...REQUIRED, '--adopt-cluster', 'prod'],
      '--adopt-cluster',
      "'prod' is no cluster; write the uid",
    ],
    ['an empty path', [...REQUIRED, '--state-dir', ''], '--state-dir', "''"],
    ['a long socket path', [...REQUIRED, '--dataplane-socket', `/${'x'.repeat(120)}`], '--dataplane-socket', '107'],
    ['workers that are none', [...REQUIRED, '--workers', 'two'], '--workers', "'two'"],
    ['more CPUs than workers', [...REQUIRED, '--cpus', '0,1'], '--cpus', '2 CPUs for 1 packet threads'],
    ['a way to send that there is not', [...REQUIRED, '--transmit', 'fast'], '--transmit', "'fast'"],
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
