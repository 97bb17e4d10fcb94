// The README's first relay, word for word, on a machine with the two interfaces that it speaks of.

import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { grpcurlDirectory, installTimeoutMs } from '../conformance/grpcurl.ts';
import { until } from '../fleet/until.ts';
import { Lab } from '../lab/lab.ts';
import type { LabProcess } from '../lab/process.ts';
import { describeWithLab, labObstacle } from '../lab/when-possible.ts';

const root = join(import.meta.dirname, '../..');
const readme = readFileSync(join(root, 'README.md'), 'utf8');

/** The fenced block after the comment that names it. */
function block(name: string): string {
  const match = new RegExp(`<!-- ${name} -->\\n\`\`\`\\w+\\n(.*?)\`\`\``, 's').exec(readme);
  if (match?.[1] === undefined) throw new Error(`README.md has no block "${name}"`);
  return match[1];
}

/** The commands of a block, one per line. */
function commands(name: string): string[] {
  return block(name).trim().split('\n');
}

/** Runs a line of the README; its sudo is needless here. */
function shell(line: string): string[] {
  return ['sh', '-c', line.replace(/^(sudo )?(.*)$/, 'exec $2')];
}

/** A host with the two interfaces that the README speaks of, a camera before it and a studio behind it. */
async function firstRelayLab(): Promise<Lab> {
  return await Lab.create({
    namespaces: { camera: {}, 'edge-1': {}, studio: {} },
    links: [
      {
        a: { namespace: 'camera', interface: 'eth0', addresses: ['10.1.0.2/24'] },
        b: { namespace: 'edge-1', interface: 'eth0', addresses: ['10.1.0.1/24'] },
      },
      {
        a: { namespace: 'edge-1', interface: 'eth1', addresses: ['10.2.0.1/24'] },
        b: { namespace: 'studio', interface: 'eth0', addresses: ['10.2.0.2/24'] },
      },
    ],
  });
}

describeWithLab('the README', () => {
  let lab: Lab | undefined;
  let clone = '';
  const programs: LabProcess[] = [];

  beforeAll(async () => {
    if (labObstacle() !== undefined) return;
    lab = await firstRelayLab();
    clone = join(lab.directory, 'clone');
    mkdirSync(clone);
    symlinkSync(join(root, 'node_modules'), join(clone, 'node_modules'));
    writeFileSync(join(clone, 'relays.yaml'), block('first-relay:document'));
    for (const line of commands('first-relay:programs')) {
      const program = started().start('edge-1', shell(line), { cwd: clone });
      await program.waitForOutput(/ready|serving/i, 60_000);
      programs.push(program);
    }
    const registered = async (): Promise<boolean> =>
      (await started().run('edge-1', shell('npx mcfleet get host edge-1'), { cwd: clone })).code === 0;
    await until('the host is known', registered, 60_000);
  });
  afterAll(() => lab?.[Symbol.asyncDispose]());

  function started(): Lab {
    if (lab === undefined) throw new Error('the lab was not made');
    return lab;
  }

  /** Runs a line of the README, which has to succeed, and answers what it printed. */
  async function run(namespace: string, line: string, env: Record<string, string> = {}): Promise<string> {
    const result = await started().run(namespace, shell(line), { cwd: clone, env, timeoutMs: 60_000 });
    expect(result.code, `${line}\n${result.stdout}${result.stderr}`).toBe(0);
    return result.stdout;
  }

  it('leads a newcomer to a relay that works', async () => {
    for (const line of commands('first-relay:relay')) await run('edge-1', line);
    const [diff = '', apply = '', describe = ''] = commands('first-relay:apply');
    // The document asks for a label and a TTL that the one-line form did not: diff says so by its status.
    const difference = await started().run('edge-1', shell(diff), { cwd: clone });
    expect(difference.code, difference.stderr).toBe(2);
    expect(difference.stdout).toContain('ttl');
    await run('edge-1', apply);

    const [send = '', receive = ''] = commands('first-relay:probe');
    const receiver = started().start('studio', shell(`${receive} -o json`), { cwd: clone });
    await receiver.waitForOutput(/listening/, 60_000);
    await run('camera', send);
    const { stdout, stderr } = await receiver.exited;
    expect(JSON.parse(stdout), stderr).toMatchObject({ received: 10_000, lost: 0, duplicates: 0, corrupt: 0 });

    const described = await run('edge-1', describe);
    expect(described).toContain('camera-7');
    for (const program of programs) expect(program.running).toBe(true);
  });

  it('imports a configuration of smcroute', async () => {
    writeFileSync(
      join(clone, 'smcroute.conf'),
      'mgroup from eth0 group 225.1.2.3\nmroute from eth0 group 225.1.2.3 to eth1\n',
    );
    for (const line of commands('smcroute:import')) await run('edge-1', line);
    expect(await run('edge-1', 'npx mcfleet get relays -l imported-from=smcroute -o name')).toBe(
      'edge-1-eth0-225-1-2-3\n',
    );
  });

  it(
    'looks inside with grpcurl',
    async (context) => {
      const path = `${grpcurlDirectory(context, started().directory)}:${process.env.PATH}`;
      const [list = '', describe = '', instances = ''] = commands('first-relay:grpcurl');
      const services = (await run('edge-1', list, { PATH: path })).trim().split('\n');
      expect(services).toEqual(expect.arrayContaining(['mcfleet.v1.FleetService', 'mcfleet.v1.RelayService']));
      expect(await run('edge-1', describe, { PATH: path })).toMatch(
        /^mcfleet\.v1\.Relay is a message:\n\/\/ The intent/,
      );

      // Counters follow within a second.
      const received = async (): Promise<unknown> =>
        JSON.parse(await run('edge-1', instances, { PATH: path })).relayInstances?.[0];
      await expect.poll(received, { timeout: 60_000, interval: 200 }).toMatchObject({
        relay: 'relays/camera-7',
        host: 'hosts/edge-1',
        state: 'INSTANCE_STATE_READY',
        counters: { rxPackets: '10000', outputs: [{ output: '239.10.10.10:6001@eth1', txPackets: '10000' }] },
      });
    },
    installTimeoutMs,
  );
});
