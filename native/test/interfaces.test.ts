import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type InterfaceFacts, listInterfaces } from '../index.ts';
import { namespaceObstacle, TestNamespace } from './namespaces.ts';

const IFF_UP = 0x1;
const IFF_LOWER_UP = 0x10000;

describe('listInterfaces', () => {
  it('knows the loopback interface', () => {
    const loopback = listInterfaces().find(({ name }) => name === 'lo');
    expect(loopback).toMatchObject({ type: 772, mtu: 65536, kind: '', mac: '00:00:00:00:00:00' });
  });
});

it('a worker may end without having closed its watch', async () => {
  const program = `
    import { watchInterfaces } from ${JSON.stringify(new URL('../index.ts', import.meta.url).href)};
    import { parentPort } from 'node:worker_threads';
    watchInterfaces((interfaces) => parentPort.postMessage(interfaces.length));
    setInterval(() => {}, 1000);
  `;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(program)}`));
  const [count] = await once(worker, 'message');
  expect(count).toBe(listInterfaces().length);
  expect(await worker.terminate()).toBe(1);
});

const obstacle = namespaceObstacle();

describe.skipIf(obstacle)(`watchInterfaces${obstacle ? ` (skipped: ${obstacle})` : ''}`, () => {
  let space: TestNamespace;
  let child: ChildProcess;
  let reports: InterfaceFacts[][];
  let wake = (): void => {};

  /** Waits for a report that fulfils the condition; reports before it are forgotten. */
  async function report(
    what: string,
    condition: (byName: Map<string, InterfaceFacts>) => boolean,
  ): Promise<Map<string, InterfaceFacts>> {
    const deadline = Date.now() + 5_000;
    for (;;) {
      const next = reports.shift();
      if (next) {
        const byName = new Map(next.map((facts) => [facts.name, facts]));
        if (condition(byName)) return byName;
      } else {
        const left = deadline - Date.now();
        if (left <= 0) throw new Error(`no report with ${what}`);
        await new Promise<void>((resolve) => {
          wake = resolve;
          setTimeout(resolve, left);
        });
      }
    }
  }

  beforeAll(() => {
    space = new TestNamespace();
    const [command, parameters] = space.command(process.execPath, join(import.meta.dirname, 'print-interfaces.ts'));
    child = spawn(command, parameters, { stdio: ['pipe', 'pipe', 'inherit'] });
    reports = [];
    if (!child.stdout) throw new Error('no output');
    createInterface(child.stdout).on('line', (line) => {
      reports.push(JSON.parse(line) as InterfaceFacts[]);
      wake();
    });
  });

  afterAll(async () => {
    const exit = once(child, 'exit');
    child.stdin?.end();
    // The watch was closed: nothing keeps the child alive.
    expect(await exit).toEqual([0, null]);
    space.delete();
  });

  beforeEach(() => {
    reports.length = 0;
  });

  it('reports creation, state, carrier, addresses, renaming, deletion and re-creation', async () => {
    space.ip('link', 'add', 'left', 'type', 'veth', 'peer', 'name', 'right');
    const created = await report('left', (found) => found.has('left') && found.has('right'));
    const left = created.get('left');
    expect(left).toMatchObject({ kind: 'veth', mtu: 1500, type: 1, operState: 'down', addresses: [] });
    expect(left?.mac).toMatch(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);
    expect((left?.flags ?? 0) & IFF_UP).toBe(0);

    space.ip('link', 'set', 'left', 'up');
    const up = await report('left up', (found) => ((found.get('left')?.flags ?? 0) & IFF_UP) !== 0);
    expect((up.get('left')?.flags ?? 0) & IFF_LOWER_UP).toBe(0);

    space.ip('link', 'set', 'right', 'up');
    await report('carrier', (found) => {
      const facts = found.get('left');
      return facts?.operState === 'up' && (facts.flags & IFF_LOWER_UP) !== 0;
    });

    space.ip('address', 'add', '192.0.2.1/24', 'dev', 'left');
    space.ip('address', 'add', '192.0.2.2/24', 'dev', 'left');
    space.run('sysctl', '-qw', 'net.ipv6.conf.left.disable_ipv6=0');
    space.ip('address', 'add', '2001:db8::1/64', 'dev', 'left', 'nodad');
    await report('addresses', (found) => {
      const addresses = found.get('left')?.addresses ?? [];
      return addresses[0] === '192.0.2.1/24' && addresses[1] === '192.0.2.2/24' && addresses.includes('2001:db8::1/64');
    });
    space.ip('address', 'delete', '192.0.2.1/24', 'dev', 'left');
    await report('address gone', (found) => !found.get('left')?.addresses.includes('192.0.2.1/24'));

    space.ip('link', 'set', 'right', 'down');
    await report('carrier lost', (found) => found.get('left')?.operState === 'lowerlayerdown');

    space.ip('link', 'set', 'left', 'down');
    space.ip('link', 'set', 'left', 'name', 'renamed');
    const renamed = await report('renamed', (found) => found.has('renamed') && !found.has('left'));
    expect(renamed.get('renamed')?.index).toBe(left?.index);

    space.ip('link', 'delete', 'renamed');
    await report('deletion', (found) => !found.has('renamed') && !found.has('right'));

    space.ip('link', 'add', 'left', 'type', 'bridge');
    const again = await report('re-creation', (found) => found.get('left')?.kind === 'bridge');
    expect(again.get('left')?.index).not.toBe(left?.index);
  });

  it('merges a storm of changes and ends with the truth', async () => {
    const commands = Array.from({ length: 300 }, (_, i) => `link add storm${i} type bridge`).join('\n');
    const run = spawnSync('ip', ['-n', space.name, '-batch', '-'], { input: commands });
    expect(run.status).toBe(0);
    let seen = 0;
    await report('all 300 bridges', (found) => {
      seen += 1;
      return [...found.keys()].filter((name) => name.startsWith('storm')).length === 300;
    });
    // Each creation alone makes several notifications.
    expect(seen).toBeLessThan(300);
  });
});
