import { describe, expect, it } from 'vitest';
import { document } from './cli-documents.ts';
import { useCli } from './use-cli.ts';

const { start, run, write } = useCli();

describe('mcfleet against a controller', () => {
  it('applies, shows the difference, applies again', async () => {
    write('relays.yaml', document('camera-7'));
    expect(await run('diff', '-f', 'relays.yaml')).toMatchObject({
      code: 2,
      stderr: '',
      stdout: expect.stringMatching(/^relay camera-7 would be created\n\+ apiVersion: mcfleet\/v1\n/),
    });
    expect(await run('apply', '-f', 'relays.yaml', '--dry-run')).toMatchObject({
      code: 0,
      stdout: 'relay camera-7 created (dry run)\n',
    });
    expect(await run('get', 'relays')).toMatchObject({ code: 0, stdout: '', stderr: 'there are none\n' });
    expect(await run('apply', '-f', 'relays.yaml')).toEqual({
      code: 0,
      stdout: 'relay camera-7 created\n',
      stderr: '',
    });
    expect(await run('diff', '-f', 'relays.yaml')).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(await run('apply', '-f', 'relays.yaml')).toMatchObject({ stdout: 'relay camera-7 unchanged\n' });

    write('relays.yaml', document('camera-7', { port: '6002' }).replace('studio-2', 'studio-3'));
    expect(await run('diff', '-f', 'relays.yaml')).toEqual({
      code: 2,
      stderr: '',
      stdout: `relay camera-7 would be updated
  metadata.labels.site: "studio-2" -> "studio-3"
  spec.outputs[0].port: 6001 -> 6002
`,
    });
    expect(await run('apply', '-f', 'relays.yaml')).toMatchObject({ stdout: 'relay camera-7 updated\n' });
    const table = await run('get', 'relays');
    expect(table.stdout).toMatch(
      /^NAME {6}ENGINE {2}INPUT.*\ncamera-7 {2}AUTO {4}239\.1\.1\.1:5001@eth0 {2}239\.10\.10\.8:6002@eth1 {4}0\/1 {2}HostNotConnected {2}\d+s\n$/,
    );
  });

  it('takes back what get -o yaml prints', async () => {
    write('relays.yaml', document('camera-7'), document('camera-70'));
    await run('apply', '-f', 'relays.yaml');
    const { stdout } = await run('get', 'relays', '-o', 'yaml');
    expect(stdout).toContain('status:\n');
    expect(await start(['diff', '-f', '-'], { input: stdout }).ended).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(await start(['apply', '-f', '-'], { input: stdout }).ended).toMatchObject({
      code: 0,
      stdout: 'relay camera-7 unchanged\nrelay camera-70 unchanged\n',
    });
  });

  it('takes back what get -o json prints, of all and of one', async () => {
    write('relays.yaml', document('camera-7', { extra: '      oversize: DROP\n' }), document('camera-70'));
    await run('apply', '-f', 'relays.yaml');
    const { stdout } = await run('get', 'relays', '-o', 'json');
    expect(await start(['diff', '-f', '-'], { input: stdout }).ended).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(await start(['apply', '-f', '-'], { input: stdout.replace('6001', '6002') }).ended).toMatchObject({
      code: 0,
      stdout: 'relay camera-7 updated\nrelay camera-70 unchanged\n',
    });
    const one = await run('get', 'relay', 'camera-7', '-o', 'json');
    write('one.json', one.stdout.replace('"239.1.1.1"', '"300.1.1.1"'));
    const line = one.stdout.split('\n').findIndex((text) => text.includes('"239.1.1.1"')) + 1;
    expect(await run('apply', '-f', 'one.json')).toMatchObject({
      code: 67,
      stderr: expect.stringMatching(
        new RegExp(`^one\\.json:${line}:16: spec\\.input\\.group: "300\\.1\\.1\\.1" is not`),
      ),
    });
  });

  it('shows what the controller finds wrong at its line, in every document, and changes nothing', async () => {
    write(
      'relays.yaml',
      document('camera-7'),
      document('b', { group: '300.1.1.1' }),
      document('c', { group: '224.0.1.129' }),
    );
    const refused = await run('apply', '-f', 'relays.yaml');
    expect(refused.code).toBe(67);
    expect(refused.stdout).toBe('');
    expect(refused.stderr.split('\n')).toEqual([
      expect.stringMatching(/^relays\.yaml:26:12: spec\.input\.group: .*300\.1\.1\.1/),
      expect.stringMatching(/^relays\.yaml:42:12: spec\.input\.group: .*PTP/),
      'error: 2 violations; nothing was changed (INVALID_ARGUMENT, INVALID_SPEC)',
      '',
    ]);
    expect(await run('get', 'relays')).toMatchObject({ stdout: '' });
  });

  it('shows its own violations and the controller’s together', async () => {
    write(
      'relays.yaml',
      document('camera-7', { extra: '      prot: 1\n' }).replace('[edge-1]', '[edge-1, nobody]'),
      document('b', { port: '"1"', group: 'x' }),
    );
    const refused = await run('apply', '-f', 'relays.yaml');
    expect(refused.code).toBe(1);
    expect(refused.stderr.split('\n')).toEqual([
      expect.stringMatching(/^relays\.yaml:7:27: spec\.hosts\.names\[1\]: .*nobody/),
      'relays.yaml:16:7: spec.outputs[0].prot: unknown key; did you mean port?',
      expect.stringMatching(/^relays\.yaml:27:12: spec\.input\.group: /),
      'relays.yaml:32:13: spec.outputs[0].port: must be a number, not text: write 1 without quotes',
      'error: 4 violations; nothing was changed',
      '',
    ]);
  });

  it('shows all that the controller finds wrong, also more than a trailer holds', async () => {
    const names = Array.from({ length: 120 }, (_, number) => `r${number}`);
    write('relays.yaml', ...names.map((name) => document(name, { group: '300.1.1.1' })));
    const refused = await run('apply', '-f', 'relays.yaml');
    expect(refused.code).toBe(67);
    const lines = refused.stderr.trimEnd().split('\n');
    expect(lines.filter((line) => line.includes('spec.input.group: "300.1.1.1"'))).toHaveLength(100);
    expect(lines.slice(-2)).toEqual([
      'and 20 more',
      'error: 120 violations; nothing was changed (INVALID_ARGUMENT, INVALID_SPEC)',
    ]);
  });

  it('applies a directory and prunes what it no longer names', async () => {
    write('a.yaml', document('camera-7'));
    write('b.yaml', document('camera-70'));
    await run('apply', '-f', '.');
    write('b.yaml', document('camera-700'));
    expect(await run('apply', '-f', '.', '--prune', '-l', 'site=studio-2')).toEqual({
      code: 0,
      stderr: '',
      stdout: 'relay camera-7 unchanged\nrelay camera-700 created\nrelay camera-70 deleted\n',
    });
  });

  it('adds a relay in one line, IPv6 too, and names the option that is wrong', async () => {
    const input = ['--host', 'edge-1', '--input-interface', 'eth0', '--input-group', 'ff3e::1', '--input-port', '5001'];
    const added = await run(
      'relay',
      'add',
      'v6',
      ...input,
      '--outputs',
      '[ff3e::2]:6001:eth1,[2001:db8::7]:6001:eth1',
      '--engine',
      'userspace',
    );
    expect(added).toEqual({ code: 0, stdout: 'relay v6 created\n', stderr: '' });
    const json = JSON.parse((await run('get', 'relay', 'v6', '-o', 'json')).stdout);
    expect(json.spec).toMatchObject({
      engine: 'RELAY_ENGINE_USERSPACE',
      input: { interface: 'eth0', group: 'ff3e::1', port: 5001 },
      outputs: [
        { address: 'ff3e::2', port: 6001 },
        { address: '2001:db8::7', port: 6001 },
      ],
    });
    expect(await run('relay', 'add', 'v6', ...input, '--outputs', '[ff3e::2]:6001:eth1')).toMatchObject({ code: 70 });
    const refused = await run('relay', 'add', 'bad', ...input, '--outputs', '[ff3e::2]:6001:eth1,239.1.1.1:6001:eth1');
    expect(refused.code).toBe(67);
    expect(refused.stderr).toMatch(
      /^--outputs, output 2: .*IPv4.*\nerror: the relay is not valid \(INVALID_ARGUMENT, INVALID_SPEC\)\n$/,
    );
  });

  it('describes a relay, with what to do, and a host', async () => {
    write('relays.yaml', document('camera-7'));
    await run('apply', '-f', 'relays.yaml');
    const relay = await run('describe', 'relay', 'camera-7');
    expect(relay).toMatchObject({ code: 0, stderr: '' });
    expect(relay.stdout).toContain('Output 1: 239.10.10.8:6001@eth1, TTL arriving minus 1\n');
    expect(relay.stdout).toContain('Host edge-1:\n  State:       Unknown\n');
    expect(relay.stdout).toContain('- edge-1 is not connected: see that its agent runs');
    const host = await run('describe', 'host', 'edge-1');
    expect(host).toMatchObject({ code: 0, stdout: expect.stringContaining('Connected:  no\n') });
  });

  it('filters by label', async () => {
    write('relays.yaml', document('camera-7'), document('other').replace('studio-2', 'studio-3'));
    await run('apply', '-f', 'relays.yaml');
    expect(await run('get', 'relays', '-l', 'site=studio-3', '-o', 'name')).toMatchObject({ stdout: 'other\n' });
    expect(await run('get', 'instances', '-l', 'site=studio-3', '-o', 'name')).toMatchObject({
      stdout: 'edge-1/other\n',
    });
    expect(await run('get', 'hosts', '-l', 'role=edge', '-o', 'name')).toMatchObject({ stdout: 'edge-1\n' });
    expect(await run('get', 'instances', 'edge-1/other', '-o', 'json')).toMatchObject({
      stdout: expect.stringContaining('"name": "hosts/edge-1/relayInstances/other"'),
    });
  });

  it('exits with 64 + the code of what was refused', async () => {
    expect(await run('get', 'relay', 'nope')).toMatchObject({
      code: 69,
      stdout: '',
      stderr: expect.stringMatching(/^error: .*nope/),
    });
    expect(await run('describe', 'host', 'nope')).toMatchObject({ code: 69 });
    expect(await run('wait', 'relay', 'nope', '--for=ready')).toMatchObject({ code: 69 });
    expect(await run('delete', 'relay', 'nope')).toMatchObject({ code: 69 });
    expect(await run('delete', 'relay', 'nope', '--ignore-not-found')).toEqual({
      code: 0,
      stdout: '',
      stderr: 'relay nope is not there\n',
    });
    expect(await run('get', 'instances', 'edge-1/nope')).toMatchObject({ code: 69 });
  });

  it('deletes what documents name', async () => {
    write('relays.yaml', document('camera-7'), document('b'));
    await run('apply', '-f', 'relays.yaml');
    expect(await run('delete', '-f', 'relays.yaml')).toEqual({
      code: 0,
      stdout: 'relay camera-7 deleted\nrelay b deleted\n',
      stderr: '',
    });
  });
});
