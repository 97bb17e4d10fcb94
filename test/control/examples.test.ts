/** Every example of the command's help, as it stands there, against a fleet of one host with the interfaces that they speak of. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Fleet, mcfleet } from '../fleet/fleet.ts';
import { until } from '../fleet/until.ts';
import { Lab } from '../lab/lab.ts';
import { describeWithLab, labObstacle } from '../lab/when-possible.ts';

const document = (name: string, port: number): string => `apiVersion: mcfleet/v1
kind: Relay
metadata: {name: ${name}, labels: {site: studio-2}}
spec:
  hosts: {names: [edge-1]}
  input: {interface: eth0, group: 239.1.1.1, port: ${port}}
  outputs: [{interface: eth1, address: 239.10.10.10, port: ${port + 1000}}]
`;
const both = `${document('camera-7', 5001)}---\n${document('camera-8', 5002)}`;

describeWithLab('the examples of', () => {
  let lab: Lab;
  let fleet: Fleet;
  beforeAll(async () => {
    if (labObstacle() !== undefined) return;
    lab = await Lab.create({
      namespaces: { camera: {}, edge: {}, studio: {} },
      links: [
        {
          a: { namespace: 'camera', interface: 'eth0', addresses: ['10.1.0.2/24'] },
          b: { namespace: 'edge', interface: 'eth0', addresses: ['10.1.0.1/24'] },
        },
        {
          a: { namespace: 'edge', interface: 'eth1', addresses: ['10.2.0.1/24'] },
          b: { namespace: 'studio', interface: 'eth1', addresses: ['10.2.0.2/24'] },
        },
      ],
    });
    // For the example that sends to 192.0.2.7.
    await lab.ip('camera', 'route add default via 10.1.0.1');
    fleet = await Fleet.start(lab, { controller: 'edge', hosts: { 'edge-1': 'edge' } });
    mkdirSync(`${lab.directory}/relays`);
    writeFileSync(`${lab.directory}/relays.yaml`, both);
    writeFileSync(`${lab.directory}/relays/all.yaml`, both);
    writeFileSync(`${lab.directory}/smcroute.conf`, 'mroute from eth0 group 239.2.2.2 to eth1\n');
  });
  afterAll(() => lab?.[Symbol.asyncDispose]());

  const env = { PATH: `${dirname(mcfleet)}:${process.env.PATH}` };

  /** The command lines of a command's help, without what is said of them. */
  async function examples(...command: string[]): Promise<string[]> {
    const help = await fleet.command([...command, '--help']);
    const [, text = ''] = help.split('\nExamples:\n');
    const lines = text
      .replaceAll(/ \\\n\s+/g, ' ')
      .split('\n')
      .map((line) => line.replace(/\s+# .*$/, '').trim())
      .filter((line) => line !== '');
    expect(lines.length, help).toBeGreaterThan(0);
    for (const line of lines) expect(line).toMatch(/^mcfleet /);
    return lines;
  }

  /** Runs a line beside the controller; one that would never end is ended after two seconds (status 124). */
  async function run(line: string, ...codes: readonly number[]): Promise<void> {
    const bounded = / -w$/.test(line) ? `timeout 2 ${line}` : line;
    const result = await lab.run('edge', ['sh', '-c', bounded], { cwd: lab.directory, env, timeoutMs: 60_000 });
    expect(codes, `${line}: ${result.code}\n${result.stdout}${result.stderr}`).toContain(result.code);
  }

  it('relay, apply, diff, get, describe, wait and delete do what they say', async () => {
    for (const line of [...(await examples('relay')), ...(await examples('relay', 'add'))]) await run(line, 0);
    // What it added is under the same name as in the documents, which want it otherwise.
    for (const line of await examples('diff')) await run(line, 2);
    for (const line of await examples('apply')) await run(line, 0);
    for (const line of await examples('diff')) await run(line, 0);
    const [gets, describes, waits] = await Promise.all([examples('get'), examples('describe'), examples('wait')]);
    await Promise.all([
      ...gets.map((line) => run(line, line.endsWith(' -w') ? 124 : 0)),
      ...describes.map((line) => run(line, 0)),
      ...waits.filter((wait) => !wait.includes('--for=delete')).map((line) => run(line, 0)),
    ]);
    for (const line of await examples('delete')) {
      await fleet.command(['apply', '-f', `${lab.directory}/relays.yaml`]);
      await run(line, 0);
    }
    for (const line of waits.filter((wait) => wait.includes('--for=delete'))) await run(line, 0);
  });

  it('import prints what apply takes', async () => {
    for (const line of [...(await examples('import')), ...(await examples('import', 'smcroute'))]) await run(line, 0);
  });

  it('probe send and receive', async () => {
    const lines = [await examples('probe'), await examples('probe', 'recv'), await examples('probe', 'send')].flat();
    // For those that receive.
    const stream = ['--interface', 'eth1', '--group', '239.10.10.10', '--port', '6001', '--rate', '1000'];
    const steady = lab.start('edge', [mcfleet, 'probe', 'send', ...stream]);
    const arrived = async (): Promise<number> => (await lab.interfaceCounters('studio', 'eth1')).rxPackets;
    await until('a stream arrives', async () => !steady.running || (await arrived()) > 100);
    const judge = async (line: string): Promise<void> => {
      const receives = line.startsWith('mcfleet probe recv ');
      const program = lab.start(receives ? 'studio' : 'camera', ['sh', '-c', `exec ${line}`], { env });
      if (receives) await program.waitForOutput(/listening/);
      await Promise.race([program.exited, new Promise((resolve) => setTimeout(resolve, receives ? 2_000 : 8_000))]);
      program.signal('SIGINT');
      const { code, stdout, stderr } = await program.exited;
      // One that was told how many to wait for, and was interrupted, says with 1 that they did not come.
      expect(receives && line.includes('--count') ? [0, 1] : [0], `${line}\n${stdout}${stderr}`).toContain(code);
      expect(stdout, line).toMatch(receives ? /received[": ]+[1-9]/ : /sent[": ]+[1-9]/);
    };
    await Promise.all(lines.map(judge));
  });
});
