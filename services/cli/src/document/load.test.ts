import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadRelays } from './load.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'mcfleet-load-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

function write(name: string, content: string | Buffer): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

function relay(name: string): string {
  return `apiVersion: mcfleet/v1
kind: Relay
metadata: {name: ${name}}
spec: {hosts: {names: [h]}, input: {interface: e, group: 239.1.1.1}, outputs: [{interface: f}]}
`;
}

describe('loadRelays', () => {
  it('reads the YAML and JSON files of a directory in order, and no others', () => {
    write('b.yml', relay('b'));
    write('a.yaml', relay('a'));
    write('notes.txt', 'not: ours');
    mkdirSync(join(directory, 'below'));
    expect(loadRelays([directory]).relays.map(({ relay }) => relay.name)).toEqual(['relays/a', 'relays/b']);
  });

  it('refuses a name that two files give, and names both places', () => {
    const a = write('a.yaml', relay('same'));
    const b = write('b.yaml', `# b\n${relay('same')}`);
    const { violations } = loadRelays([a, b]);
    expect(violations).toEqual([
      {
        position: { file: b, line: 4, column: 18 },
        path: 'metadata.name',
        message: `"same" is given twice; first at ${a}:3:18`,
      },
    ]);
  });

  it.each([
    [
      'a stray byte',
      Buffer.concat([Buffer.from('a: é\nb: x'), Buffer.from([0xff]), Buffer.from('yz')]),
      2,
      5,
      'is not UTF-8 text: save it as UTF-8',
    ],
    [
      'a cut character',
      Buffer.concat([Buffer.from('a: 1\n'), Buffer.from([0xc3])]),
      2,
      1,
      'is not UTF-8 text: save it as UTF-8',
    ],
    ['UTF-16', Buffer.from('\ufeffa: 1', 'utf16le'), 1, 1, 'is UTF-16: save it as UTF-8'],
  ])('shows the place of %s', (_what, bytes, line, column, message) => {
    const file = write('bad.yaml', bytes);
    expect(loadRelays([file]).violations).toEqual([{ position: { file, line, column }, path: '', message }]);
  });

  it('takes a byte order mark of UTF-8', () => {
    expect(loadRelays([write('bom.yaml', `\ufeff${relay('a')}`)]).violations).toEqual([]);
  });

  it('says why a file cannot be read', () => {
    expect(() => loadRelays([join(directory, 'no.yaml')])).toThrow(/no\.yaml: no such file or directory$/);
    expect(() => loadRelays([directory])).toThrow(/: holds no \*\.yaml, \*\.yml or \*\.json file$/);
    expect(() => loadRelays([write('big.yaml', Buffer.alloc(33 * 1024 * 1024, 32))])).toThrow(/larger than 32 MiB/);
  });

  it('stops reading what has no end and tells no size', () => {
    expect(() => loadRelays(['/dev/zero'])).toThrow('/dev/zero: is larger than 32 MiB: split it');
  });
});
