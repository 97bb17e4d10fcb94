/** Bad intent: one clear error each, and nothing of what runs is disturbed. All cases happen under one stream that has to arrive whole. */
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Carried, RelayPath, relayDocuments } from '../fleet/relay-path.ts';
import { describeWithLab, labObstacle } from '../lab/when-possible.ts';
import { expectAll } from './all-arrived.ts';

const invalidArgument = 64 + 3;

/** A document with one mistake; `%` stands for the mistake. */
function document(change: { readonly key?: string; readonly value: string }): string {
  const lines = {
    hosts: '  hosts: {names: [edge-1]}',
    group: '    group: 239.1.1.2',
    port: '    port: 5001',
    outputs: '  outputs: [{interface: veth3, address: 239.9.9.9, port: 5099}]',
    extra: '',
    ...(change.key === undefined ? {} : { [change.key]: change.value }),
  };
  return `apiVersion: mcfleet/v1
kind: Relay
metadata: {name: bad}
spec:
${lines.hosts}
  input:
    interface: veth1
${lines.group}
${lines.port}
${lines.outputs}
${lines.extra}
`;
}

describeWithLab('bad intent', () => {
  let path: RelayPath;
  let stream: Promise<Carried>;
  const ended = Promise.withResolvers<void>();

  beforeAll(async () => {
    if (labObstacle() !== undefined) return;
    path = await RelayPath.start('chain');
    await path.apply({ camera: path.spec() });
    stream = path.carryDuring({}, async () => await ended.promise);
    // Awaited at the end.
    stream.catch(() => undefined);
  });
  afterAll(async () => await path?.[Symbol.asyncDispose]());

  it.each([
    ['an unknown key', { key: 'extra', value: '  ttl: 3' }, [/bad\.yaml:11:3/, /ttl/]],
    ['a wrong type', { key: 'port', value: '    port: {number: 5001}' }, [/bad\.yaml:9:\d+/, /port/]],
    [
      'a group that is no address',
      { key: 'group', value: '    group: 300.1.1.1' },
      [/bad\.yaml:8:\d+/, /300\.1\.1\.1/],
    ],
    [
      'a group that is not multicast',
      { key: 'group', value: '    group: 255.255.255.255' },
      [/bad\.yaml:8:\d+/, /255\.255\.255\.255/],
    ],
    ['port 0', { key: 'port', value: '    port: 0' }, [/bad\.yaml:9:\d+/, /port/, /1 to 65535/]],
    ['port 70000', { key: 'port', value: '    port: 70000' }, [/bad\.yaml:9:\d+/, /port/, /1 to 65535/]],
    [
      'an output equal to the input',
      { key: 'outputs', value: '  outputs: [{interface: veth1}]' },
      [/bad\.yaml:10:\d+/, /input/],
    ],
    ['an unknown host', { key: 'hosts', value: '  hosts: {names: [edge-9]}' }, [/edge-9/]],
  ] as const)('%s is refused with its place', async (_what, change, patterns) => {
    const file = `${path.lab.directory}/bad.yaml`;
    writeFileSync(file, document(change));
    for (const args of [
      ['apply', '-f', file, '--dry-run'],
      ['apply', '-f', file],
    ]) {
      const result = await path.fleet.run(args);
      expect(result.stdout).toBe('');
      for (const pattern of patterns) expect(result.stderr).toMatch(pattern);
      expect(result.stderr).not.toMatch(/\n\s+at /);
      expect([1, 2, invalidArgument, 64 + 5, 64 + 9]).toContain(result.code);
    }
    expect(await path.fleet.command(['get', 'relays', '-o', 'name'])).toBe('camera\n');
  });

  it('every mistake of a file is reported at once', async () => {
    const file = `${path.lab.directory}/bad.yaml`;
    writeFileSync(
      file,
      document({ key: 'port', value: '    port: 0' }).replace('address: 239.9.9.9', 'address: nowhere, ttl: 300'),
    );
    const { stderr } = await path.fleet.run(['apply', '-f', file]);
    for (const pattern of [/port/, /nowhere/, /ttl/]) expect(stderr).toMatch(pattern);
  });

  it('two relays of one input both forward; with the same output they are a conflict', async () => {
    const both = { second: path.spec({ outputs: [{ address: '239.9.9.12', port: 5099 }] }) };
    await path.apply(both);
    const instances = await path.fleet.instances();
    expect(instances.map(({ relay }) => relay).sort()).toEqual(['relays/camera', 'relays/second']);
    await expect
      .poll(async () => {
        const second = (await path.fleet.instances()).find(({ relay }) => relay === 'relays/second');
        return Number(second?.counters?.outputs[0]?.txPackets ?? 0n);
      })
      .toBeGreaterThan(1_000);

    const conflict = await path.fleet.run(['apply', '-f', '-'], { input: relayDocuments({ third: path.spec() }) });
    expect(conflict.code).toBeGreaterThanOrEqual(64);
    expect(conflict.stderr).toContain('camera');
    await path.fleet.command(['delete', 'relay', 'second']);
  });

  it('a missing interface is accepted, and the reason is told', async () => {
    const relay = { waiting: path.spec({ input: { interface: 'nowhere0' } }) };
    await path.fleet.command(['apply', '-f', '-'], { input: relayDocuments(relay) });
    await expect.poll(() => path.fleet.command(['describe', 'relay', 'waiting'])).toContain('InterfaceNotFound');
    const wait = await path.fleet.run(['wait', 'relay', 'waiting', '--for=ready', '--timeout', '2s']);
    expect(wait.code).toBe(1);
    expect(wait.stderr).toContain('nowhere0');
    await path.fleet.command(['delete', 'relay', 'waiting']);
  });

  it('a controller that is not there is named', async () => {
    const result = await path.fleet.run(['get', 'relays'], { server: '127.0.0.1:7999' });
    expect(result.code).toBe(64 + 14);
    expect(result.stderr).toContain('127.0.0.1:7999');
    expect(result.stderr.trim().split('\n').length).toBeLessThanOrEqual(3);
  });

  it('disturbed nothing: the stream arrived whole', async () => {
    ended.resolve();
    expectAll(await stream);
  });
});
