import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../../services/cli/src/program.ts';
import { ForeignClient } from '../conformance/foreign-client.ts';
import { LocalController } from '../fleet/local-controller.ts';
import { areIndependent, type Fault, type Faultable, kernel, userspace, withFaults } from './faults.ts';

let controller: LocalController;
let directory: string;

beforeAll(async () => {
  controller = await LocalController.start();
  directory = mkdtempSync(join(tmpdir(), 'mcfleet-faults-'));
  using hosts = new ForeignClient('FleetService', controller.admin);
  await hosts.call('UpdateHost', { host: { name: 'hosts/edge-1', labels: { role: 'edge' } }, allow_missing: true });
});
afterAll(async () => {
  rmSync(directory, { recursive: true });
  await controller[Symbol.asyncDispose]();
});

/** What `apply --dry-run` tells of files, without the messages: "a.yaml:12: spec.input.port", in the order it is shown. */
async function told(files: Readonly<Record<string, string>>): Promise<string[]> {
  const named = Object.entries(files).flatMap(([name, text]) => {
    writeFileSync(join(directory, name), text);
    return ['-f', join(directory, name)];
  });
  let stderr = '';
  const code = await run(['apply', '--dry-run', ...named], {
    env: { MCFLEET_SERVER: controller.admin },
    stdoutIsTerminal: false,
    writeStdout: () => {},
    writeStderr: (text) => {
      stderr += text;
    },
    now: Date.now,
  });
  const lines = stderr.trimEnd().split('\n');
  const end = lines.pop() ?? '';
  if (code === 0) expect(stderr).toBe('');
  else expect(end).toMatch(new RegExp(`^error: ${lines.length} violations?; nothing was changed`));
  return lines.map((line) => {
    const [, file, row, column, path] = /^(.*?):(\d+):(\d+):(?: ([^ ]*|metadata\.labels\..*?):)? /.exec(line) ?? [];
    const name = file?.slice(directory.length + 1) ?? '';
    const shown = files[name]?.split('\n')[Number(row) - 1]?.slice(Number(column) - 1);
    expect(shown, line).toMatch(/^(?! )/);
    return `${name}:${row}: ${path ?? ''}`;
  });
}

describe.each<[string, Faultable]>([
  ['userspace', userspace],
  ['kernel', kernel],
])('a relay for engine %s', (_name, relay) => {
  it('is valid', async () => {
    expect(await told({ 'a.yaml': withFaults(relay, 1, []).text })).toEqual([]);
  });

  it.each(relay.faults.map((fault): [string, string, Fault] => [fault.line, fault.text.trim(), fault]))(
    'has one violation with %s: %s',
    async (_line, _text, fault) => {
      const { text, told: places } = withFaults(relay, 1, [fault]);
      expect(await told({ 'a.yaml': text })).toEqual(places.map(({ line, path }) => `a.yaml:${line}: ${path}`));
    },
  );
});

/** A relay with faults that have nothing to do with each other. */
const faulty = fc.constantFrom(userspace, kernel).chain((relay) =>
  fc.subarray([...relay.faults], { maxLength: 4 }).map((chosen) => {
    const faults: Fault[] = [];
    for (const fault of chosen) if (faults.every((other) => areIndependent(fault, other))) faults.push(fault);
    return { relay, faults, toString: () => JSON.stringify(faults) };
  }),
);
const oneToThree = { minLength: 1, maxLength: 3 };

it('tells every one of many faults, in any documents of any files, and nothing else', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(faulty, oneToThree), oneToThree), async (files) => {
      const texts: Record<string, string> = {};
      const wanted: string[] = [];
      let n = 0;
      for (const [i, documents] of files.entries()) {
        const name = `${i}.yaml`;
        let lines: string[] = [];
        for (const { relay, faults } of documents) {
          const { text, told: places } = withFaults(relay, ++n, faults);
          wanted.push(...places.map(({ line, path }) => `${name}:${lines.length + line}: ${path}`));
          lines = lines.concat(text.split('\n').with(-1, '---'));
        }
        texts[name] = lines.join('\n');
      }
      expect(await told(texts)).toEqual(wanted);
    }),
    { numRuns: 200 },
  );
});

it('tells conflicts beside what is wrong', async () => {
  const numbered = (relay: Faultable, n: number, name: string): string[] =>
    withFaults(relay, n, []).text.replace(`name: camera-${n}`, `name: ${name}`).split('\n').with(-1, '---');
  const twin = numbered(userspace, 1, 'twin');
  const wrong = numbered(kernel, 1, 'wrong').map((line) => line.replace('eth0', 'a/b'));
  const original = numbered(userspace, 1, 'original');
  const lines = [...twin, ...wrong, ...original];
  const outputsFrom = (start: number): string[] =>
    ['eth1', 'eth0', 'eth2', 'eth2'].reduce<{ from: number; found: string[] }>(
      ({ from, found }, name, i) => {
        const at = lines.indexOf(`    - interface: ${name}`, from) + 1;
        return { from: at, found: [...found, `a.yaml:${at}: spec.outputs[${i}]`] };
      },
      { from: start, found: [] },
    ).found;
  const line = lines.indexOf('    interface: a/b') + 1;
  expect(await told({ 'a.yaml': lines.join('\n') })).toEqual([
    ...outputsFrom(0),
    `a.yaml:${line}: spec.input.interface`,
    ...outputsFrom(twin.length + wrong.length),
  ]);
});
