import { describe, expect, it } from 'vitest';
import { run } from '../program.ts';
import { optionOfField, parseOutputs } from './relay-add-options.ts';

/** Runs a command line that needs no controller. */
async function mcfleet(...argv: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  let stdout = '';
  let stderr = '';
  const code = await run(argv, {
    env: { MCFLEET_SERVER: 'unix:/nonexistent/mcfleet.sock' },
    stdoutIsTerminal: false,
    writeStdout: (text) => {
      stdout += text;
    },
    writeStderr: (text) => {
      stderr += text;
    },
    now: Date.now,
  });
  return { code, stdout, stderr };
}

const relayAdd = [
  'relay',
  'add',
  'camera-7',
  '--host',
  'edge-1',
  '--input-interface',
  'eth0',
  '--input-group',
  '239.1.1.1',
];

describe('mcfleet', () => {
  it.each([
    [['--help']],
    [['help', 'apply']],
    [['apply', '--help']],
    [['diff', '--help']],
    [['get', '--help']],
    [['describe', '--help']],
    [['delete', '--help']],
    [['wait', '--help']],
    [['relay', '--help']],
    [['relay', 'add', '--help']],
    [['import', '--help']],
    [['import', 'smcroute', '--help']],
  ])('%j prints help with examples on stdout', async (argv) => {
    const { code, stdout, stderr } = await mcfleet(...argv);
    expect(code).toBe(0);
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^Usage: mcfleet/);
    expect(stdout).toMatch(/\n(Examples|Start here):\n {2}mcfleet /);
  });

  it.each([[['relay', 'add']], [['probe', 'recv']]])('help %j is the help of that command', async (argv) => {
    const byHelp = await mcfleet('help', ...argv);
    expect(byHelp).toEqual(await mcfleet(...argv, '--help'));
    expect(byHelp.stdout).toMatch(new RegExp(`^Usage: mcfleet ${argv.join(' ')} `));
    expect((await mcfleet('help', argv[0] ?? '')).stdout).toMatch(new RegExp(`^Usage: mcfleet ${argv[0]} `));
  });

  it.each([
    ['no command', [], 'Usage: mcfleet'],
    ['an unknown command', ['aply'], "unknown command 'aply'\n(Did you mean apply?)"],
    ['an unknown command with --help', ['aply', '--help'], "unknown command 'aply'\n(Did you mean apply?)"],
    ['help for an unknown command', ['help', 'aply'], "unknown command 'aply'\n(Did you mean apply?)"],
    ['help for an unknown command of a group', ['help', 'relay', 'ad'], "unknown command 'ad'\n(Did you mean add?)"],
    ['an unknown command behind options', ['--server', 'x', 'aply', '-h'], "unknown command 'aply'"],
    ['a command to come', ['top'], 'mcfleet top is not in this version yet; mcfleet get instances'],
    ['a command to come with --help', ['why', '--help'], 'mcfleet why is not in this version yet'],
    ['a command to come with options', ['doctor', '--interface', 'eth0'], 'mcfleet doctor is not in this version yet'],
    ['help for a command to come', ['help', 'top'], 'mcfleet top is not in this version yet'],
    ['a kind to come', ['get', 'events'], 'mcfleet get events is not in this version yet; mcfleet get instances -w'],
    ['a kind to come, in singular', ['get', 'event', '-w'], 'mcfleet get events is not in this version yet'],
    ['an unknown option', ['get', 'relays', '--wach'], "unknown option '--wach'\n(Did you mean --watch?)"],
    ['an option that would turn the terminal red', ['get', 'relays', '--\u001b[31m'], "unknown option '--\\x1b[31m'"],
    ['an unknown kind', ['get', 'relas'], 'unknown kind "relas"; did you mean relays?'],
    [
      'a kind that cannot be described',
      ['describe', 'instance', 'x'],
      'unknown kind "instance"; known here: relay, host',
    ],
    ['a missing kind', ['get'], "missing required argument 'kind'"],
    ['an unknown format', ['get', 'relays', '-o', 'xml'], 'Allowed choices are table, wide, json, yaml, name.'],
    ['a name that cannot be', ['get', 'relays', 'Camera_7'], '"Camera_7" is not the name of a relay'],
    ['a bad selector', ['get', 'relays', '-l', 'role'], 'selector "role": "role" is not KEY=VALUE'],
    [
      'a bad timeout',
      ['get', 'relays', '--timeout', '5x'],
      '--timeout "5x" is not a duration: write 500ms, 10s, 2m or 1h',
    ],
    ['a bad server', ['get', 'relays', '--server', 'a b'], "--server: 'a b:7400' is not an address"],
    ['apply without a file', ['apply'], 'give the documents with -f FILE, -f DIR or -f -'],
    ['prune without a selector', ['apply', '-f', 'x.yaml', '--prune'], '--prune needs -l SELECTOR'],
    ['a goal that is not known', ['wait', 'relay', 'a', '--for=happy'], '--for "happy" is not known'],
    ['a missing goal', ['wait', 'relay', 'a'], "required option '--for <what>' not specified"],
    ['delete of nothing', ['delete'], 'say which: mcfleet delete relay NAME...'],
    ['port 0', [...relayAdd, '--input-port', '0', '--outputs', '239.1.1.2:1:e'], 'A port is 1 to 65535.'],
    [
      'a bad output',
      [...relayAdd, '--input-port', '1', '--outputs', '239.1.1.2:1:e,239.1.1.3'],
      '--outputs: output 2 ("239.1.1.3") is not GROUP:PORT:INTERFACE',
    ],
    [
      'IPv6 without brackets',
      [...relayAdd, '--input-port', '1', '--outputs', 'ff3e::1:6001:eth1'],
      'an IPv6 address stands in brackets',
    ],
    ['CLI options before a program', ['--timeout', '1s', 'agent', '--name', 'x'], 'write mcfleet agent first'],
  ])('exits 2 for %s', async (_what, argv, message) => {
    const { code, stdout, stderr } = await mcfleet(...argv);
    expect(stdout).toBe('');
    expect(stderr).toContain(message);
    expect(code).toBe(2);
  });

  it('says which controller it cannot reach, and exits with 64 + UNAVAILABLE', async () => {
    const { code, stdout, stderr } = await mcfleet('get', 'relays');
    expect(code).toBe(78);
    expect(stdout).toBe('');
    expect(stderr).toBe(
      'error: cannot reach the controller at unix:/nonexistent/mcfleet.sock: there is no such socket. Check that it runs (mcfleet controller) and that the address is right (--server or MCFLEET_SERVER)\n',
    );
  });
});

describe('relay add', () => {
  it('reads outputs, IPv6 in brackets', () => {
    expect(parseOutputs('239.10.10.10:6001:eth1,[ff3e::1]:5:br0.7')).toEqual([
      { address: '239.10.10.10', port: 6001, interface: 'eth1' },
      { address: 'ff3e::1', port: 5, interface: 'br0.7' },
    ]);
  });

  it('names the option that a violation is about', () => {
    expect(optionOfField('relay.spec.outputs[1].port')).toBe('--outputs, output 2');
    expect(optionOfField('relay.spec.hosts.names[0]')).toBe('--host');
    expect(optionOfField('relay_id')).toBe('NAME');
    expect(optionOfField('something.new')).toBe('something.new');
  });
});
