import { RelayEngine } from '@mcfleet/proto/mcfleet/v1/relay';
import { describe, expect, it } from 'vitest';
import { parseRelays } from './parse.ts';
import { formatViolation } from './position.ts';

const good = `apiVersion: mcfleet/v1
kind: Relay
metadata:
  name: camera-7
  labels: {site: studio-2}
spec:
  hosts: {names: [edge-1]}
  engine: AUTO
  input:
    interface: eth0
    group: 239.1.1.1
    port: 5001
    sources: [10.99.99.99]
  outputs:
    - interface: eth1
      address: 239.10.10.10
      port: 6001
      ttl: 16
      source: INTERFACE
`;

/** What is wrong with a text, as it is shown. */
function wrong(text: string): string[] {
  return parseRelays('relays.yaml', text).violations.map(formatViolation);
}

/** The good document with one line replaced (or, with an empty text, removed). */
function withLine(line: string, replacement: string): string {
  expect(good).toContain(`${line}\n`);
  return good.replace(`${line}\n`, replacement === '' ? '' : `${replacement}\n`);
}

describe('parseRelays', () => {
  it('reads the document of the contract', () => {
    const { relays, violations } = parseRelays('relays.yaml', good);
    expect(violations).toEqual([]);
    expect(relays[0]?.relay).toMatchObject({
      name: 'relays/camera-7',
      labels: { site: 'studio-2' },
      spec: {
        hosts: { names: ['edge-1'], matchLabels: {} },
        engine: RelayEngine.AUTO,
        input: { interface: 'eth0', group: '239.1.1.1', port: 5001, sources: ['10.99.99.99'] },
        outputs: [{ interface: 'eth1', address: '239.10.10.10', port: 6001, ttl: 16, source: 'INTERFACE' }],
      },
    });
  });

  it('reads JSON, which is YAML too', () => {
    const text = JSON.stringify(
      {
        apiVersion: 'mcfleet/v1',
        kind: 'Relay',
        metadata: { name: 'a' },
        spec: { hosts: { names: ['h'] }, input: { interface: 'e', group: '239.1.1.1' }, outputs: [{ interface: 'f' }] },
      },
      null,
      '\t',
    );
    expect(parseRelays('a.json', text)).toMatchObject({ violations: [], relays: [{ relay: { name: 'relays/a' } }] });
  });

  it('reads several documents and passes over empty ones', () => {
    const { relays, violations } = parseRelays('r.yaml', `---\n${good}---\n---\n${good}...\n`);
    expect(violations).toEqual([]);
    expect(relays).toHaveLength(2);
  });

  it('follows anchors', () => {
    const text = good.replace('interface: eth0', 'interface: &nic eth0').replace('interface: eth1', 'interface: *nic');
    const { relays, violations } = parseRelays('r.yaml', text);
    expect(violations).toEqual([]);
    expect(relays[0]?.relay.spec?.outputs[0]?.interface).toBe('eth0');
  });

  it.each([
    [
      'an unknown key',
      withLine('    port: 5001', '    prot: 5001'),
      ['relays.yaml:12:5: spec.input.prot: unknown key; did you mean port?'],
    ],
    [
      'an unknown key that resembles none',
      withLine('  engine: AUTO', '  zebra: 1'),
      [
        'relays.yaml:8:3: spec.zebra: unknown key; known here: hosts, engine, input, outputs, rateLimit, loopProtection, allowPtp',
      ],
    ],
    [
      'snake_case',
      withLine('  hosts: {names: [edge-1]}', '  hosts: {match_labels: {a: b}}'),
      ['relays.yaml:7:11: spec.hosts.match_labels: unknown key; did you mean matchLabels?'],
    ],
    [
      'a misspelt required key, once',
      withLine('  name: camera-7', '  nmae: camera-7'),
      ['relays.yaml:4:3: metadata.nmae: unknown key; did you mean name?'],
    ],
    [
      'a quoted port',
      withLine('      port: 6001', '      port: "6001"'),
      ['relays.yaml:17:13: spec.outputs[0].port: must be a number, not text: write 6001 without quotes'],
    ],
    [
      'port 0',
      withLine('      port: 6001', '      port: 0'),
      ['relays.yaml:17:13: spec.outputs[0].port: must be 1 to 65535, not 0'],
    ],
    [
      'port 70000',
      withLine('    port: 5001', '    port: 70000'),
      ['relays.yaml:12:11: spec.input.port: must be 1 to 65535, not 70000'],
    ],
    [
      'a port with a fraction',
      withLine('    port: 5001', '    port: 50.5'),
      ['relays.yaml:12:11: spec.input.port: must be 1 to 65535, not 50.5'],
    ],
    [
      'a port that is not a number',
      withLine('    port: 5001', '    port: .nan'),
      ['relays.yaml:12:11: spec.input.port: must be 1 to 65535, not .nan'],
    ],
    [
      'a list for a port',
      withLine('    port: 5001', '    port: [1]'),
      ['relays.yaml:12:5: spec.input.port: must be a number, not a list'.replace('12:5', '12:11')],
    ],
    [
      'a number for a group',
      withLine('    group: 239.1.1.1', '    group: 239.1'),
      ['relays.yaml:11:12: spec.input.group: must be text, not the number 239.1: write "239.1" in quotes'],
    ],
    [
      'a truth value for a label',
      withLine('  labels: {site: studio-2}', '  labels: {site: true}'),
      ['relays.yaml:5:18: metadata.labels.site: must be text, not the truth value true: write "true" in quotes'],
    ],
    [
      'a value that is missing',
      withLine('    group: 239.1.1.1', '    group:'),
      ['relays.yaml:11:11: spec.input.group: has no value: give one, or remove the key'],
    ],
    ['a key that is missing', withLine('    group: 239.1.1.1', ''), ['relays.yaml:10:5: spec.input.group: is missing']],
    [
      'a text where a mapping belongs',
      withLine('  hosts: {names: [edge-1]}', '  hosts: edge-1'),
      [
        'relays.yaml:7:10: spec.hosts: must be a mapping, not text: write {names: [edge-1]} or {matchLabels: {role: edge}}',
      ],
    ],
    [
      'a text where a list belongs',
      withLine('  hosts: {names: [edge-1]}', '  hosts: {names: edge-1}'),
      ['relays.yaml:7:18: spec.hosts.names: must be a list, not text: write [edge-1]'],
    ],
    [
      'a key given twice',
      withLine('    port: 5001', '    port: 5001\n    port: 5002'),
      ['relays.yaml:13:5: spec.input.port: is given twice; first in line 12'],
    ],
    [
      'an engine that does not exist',
      withLine('  engine: AUTO', '  engine: KERNAL'),
      ['relays.yaml:8:11: spec.engine: must be AUTO, USERSPACE or KERNEL, not "KERNAL"; did you mean KERNEL?'],
    ],
    [
      'another apiVersion',
      withLine('apiVersion: mcfleet/v1', 'apiVersion: mcfleet/v2'),
      ['relays.yaml:1:13: apiVersion: must be mcfleet/v1, not "mcfleet/v2"'],
    ],
    [
      'another kind, and nothing else about it',
      withLine('kind: Relay', 'kind: Host').replace('spec:', 'spam:'),
      ['relays.yaml:2:7: kind: must be Relay, not "Host"; only Relay documents can be applied'],
    ],
    [
      'another kind of another apiVersion',
      withLine('apiVersion: mcfleet/v1', 'apiVersion: apps/v1').replace('kind: Relay', 'kind: Deployment'),
      [
        'relays.yaml:1:13: apiVersion: must be mcfleet/v1, not "apps/v1"',
        'relays.yaml:2:7: kind: must be Relay, not "Deployment"; only Relay documents can be applied',
      ],
    ],
    [
      'a misspelt kind, and all the rest',
      withLine('apiVersion: mcfleet/v1', 'apiVersion: mcfleet/v2')
        .replace('kind: Relay', 'kind: Rely')
        .replace('      ttl:', '      tll:'),
      [
        'relays.yaml:1:13: apiVersion: must be mcfleet/v1, not "mcfleet/v2"',
        'relays.yaml:18:7: spec.outputs[0].tll: unknown key; did you mean ttl?',
        'relays.yaml:2:7: kind: must be Relay, not "Rely"',
      ],
    ],
    [
      'what is wrong behind a key that is given twice',
      `${good}spec:\n  engine: KERNAL\n`,
      [
        'relays.yaml:20:1: spec: is given twice; first in line 6',
        'relays.yaml:21:11: spec.engine: must be AUTO, USERSPACE or KERNEL, not "KERNAL"; did you mean KERNEL?',
        'relays.yaml:21:3: spec.hosts: is missing',
        'relays.yaml:21:3: spec.input: is missing',
        'relays.yaml:21:3: spec.outputs: is missing',
      ],
    ],
    [
      'a tag of YAML that nothing here has',
      withLine('    port: 5001', '    port: !!binary aGk='),
      ['relays.yaml:12:20: spec.input.port: must be a number, not a value with the tag !!binary'],
    ],
    ['an empty file', '', ['relays.yaml:1:1: holds no document; expected apiVersion, kind, metadata and spec']],
    [
      'a file of comments',
      '# later\n---\n',
      ['relays.yaml:1:1: holds no document; expected apiVersion, kind, metadata and spec'],
    ],
    [
      'what is no relay at all, once',
      '{"hosts": [{"name": "hosts/edge-1"}]}',
      ['relays.yaml:1:1: is no document of a relay; expected apiVersion, kind, metadata and spec'],
    ],
    ['a list at the top', '- a\n', ['relays.yaml:1:1: must be a mapping, not a list']],
    [
      'an alias to nothing',
      withLine('    port: 5001', '    port: *nothing'),
      ['relays.yaml:12:11: spec.input.port: there is no anchor &nothing above'],
    ],
    [
      'a tag of another program',
      withLine('    port: 5001', '    port: !secret x'),
      ['relays.yaml:12:11: is not valid YAML: unresolved tag: !secret'],
    ],
    [
      'YAML 1.1',
      `%YAML 1.1\n---\n${good}`,
      ['relays.yaml:1:1: is marked as YAML 1.1: remove the %YAML line (YAML 1.2 is read)'],
    ],
    [
      'YAML 1.1, once for all documents that are marked so, and what is wrong in them',
      `# old\n%YAML 1.1\n---\n${good}---\n${good.replace('AUTO', 'off')}...\n%YAML 1.1\n---\n${good}`,
      [
        'relays.yaml:2:1: is marked as YAML 1.1: remove the %YAML line (YAML 1.2 is read)',
        'relays.yaml:44:1: is marked as YAML 1.1: remove the %YAML line (YAML 1.2 is read)',
        'relays.yaml:31:11: spec.engine: must be AUTO, USERSPACE or KERNEL, not "off"',
      ],
    ],
    [
      'a text where true or false belongs',
      withLine('  engine: AUTO', '  allowPtp: "yes"'),
      ['relays.yaml:8:13: spec.allowPtp: must be true or false, not text'],
    ],
    [
      'an empty address',
      withLine('      address: 239.10.10.10', "      address: ''"),
      ['relays.yaml:16:16: spec.outputs[0].address: is empty: give a value, or remove the key'],
    ],
    [
      'a merge key',
      withLine('    port: 5001', '    <<: {port: 1}'),
      [
        'relays.yaml:12:5: spec.input.<<: unknown key; known here: interface, group, port, sources, excludeSources, vlan',
      ],
    ],
    [
      'an output without a value',
      withLine('    - interface: eth1', '    -\n    - interface: eth1'),
      ['relays.yaml:15:6: spec.outputs[0]: has no value: give one, or remove the key'],
    ],
  ])('shows the place of %s', (_what, text, expected) => {
    expect(wrong(text)).toEqual(expected);
  });

  it.each([
    ['a tab', '  engine: AUTO', '\tengine: AUTO', ['8:1: is not valid YAML: tabs are not allowed as indentation']],
    [
      'a tab, and of what else is wrong',
      '  engine: AUTO\n  input:\n    interface: eth0\n    group: 239.1.1.1',
      '\tengine: AUTO\n  input:\n    interface: "\\z"\n\t\tgroup: 239.1.1.1',
      [
        '8:1: is not valid YAML: tabs are not allowed as indentation',
        '10:17: is not valid YAML: invalid escape sequence \\z',
        '11:1: is not valid YAML: tabs are not allowed as indentation',
      ],
    ],
    [
      'a brace too many',
      '  hosts: {names: [edge-1]}',
      '  hosts: {names: [edge-1]}}',
      ['7:27: is not valid YAML: unexpected flow-map-end token in YAML stream: "}"'],
    ],
    [
      'text behind values',
      '  engine: AUTO\n  input:\n    interface: eth0',
      '  engine: "AUTO" x\n  input:\n    interface: "eth0" y',
      [
        '8:18: is not valid YAML: unexpected scalar at node end',
        '10:23: is not valid YAML: unexpected scalar at node end',
      ],
    ],
  ])('shows the place of %s, and not what only follows from it', (_what, lines, replacement, expected) => {
    expect(wrong(withLine(lines, replacement))).toEqual(expected.map((line) => `relays.yaml:${line}`));
  });

  it('reports every violation of every document at once', () => {
    const bad = good.replace('port: 5001', 'port: "x"').replace('ttl: 16', 'ttl: 999').replace('engine:', 'engin:');
    const found = wrong(`${bad}---\n${bad}`);
    expect(found.map((line) => line.replace(/ .*/, ''))).toEqual([
      'relays.yaml:8:3:',
      'relays.yaml:12:11:',
      'relays.yaml:18:12:',
      'relays.yaml:28:3:',
      'relays.yaml:32:11:',
      'relays.yaml:38:12:',
    ]);
  });

  it('still reads what it can of a document with violations, so that the controller can judge the rest', () => {
    const { relays } = parseRelays('r.yaml', good.replace('port: 5001', 'port: "x"'));
    expect(relays[0]?.relay.spec?.input).toMatchObject({
      interface: 'eth0',
      group: '239.1.1.1',
      sources: ['10.99.99.99'],
      excludeSources: [],
    });
    // No port, so that it is not taken for one that was left out.
    expect(relays[0]?.relay.spec?.input?.port).toBeGreaterThan(65_535);
  });

  it('bounds aliases and depth', () => {
    const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n${'c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n'.repeat(12)}`;
    expect(wrong(bomb)).toContainEqual(expect.stringContaining('more than 100 aliases'));
    expect(wrong('['.repeat(100_000)).length).toBeLessThanOrEqual(10);
    expect(wrong('['.repeat(100_000)).length).toBeGreaterThan(0);
  });

  it('ignores status, which get -o yaml prints', () => {
    expect(wrong(`${good}status: {anything: [1, 2]}\n`)).toEqual([]);
  });

  it('finds the place of a field that the controller names', () => {
    const tree = parseRelays('r.yaml', good).relays[0]?.tree;
    expect(tree?.locate(['spec', 'outputs', '0', 'port'])).toEqual({
      position: { file: 'r.yaml', line: 17, column: 13 },
      exact: true,
    });
    expect(tree?.locate(['metadata', 'labels', 'site']).position).toMatchObject({ line: 5, column: 18 });
    expect(tree?.locate(['spec', 'hosts', 'matchLabels'])).toMatchObject({
      position: { line: 7, column: 3 },
      exact: false,
    });
  });
});
