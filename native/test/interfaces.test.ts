import { once } from 'node:events';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Lab } from '../../test/lab/lab.ts';
import type { LabProcess } from '../../test/lab/process.ts';
import { describeWithLab, labObstacle } from '../../test/lab/when-possible.ts';
import { type InterfaceFacts, listInterfaces } from '../index.ts';

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

describeWithLab('watchInterfaces', () => {
  let lab: Lab;
  let watching: LabProcess;
  /** Reports that have been read, or that do not count any more. */
  let read = 0;

  const reports = (): string[] => watching.stdout.split('\n').slice(0, -1);
  const ip = (...commands: string[]): Promise<void> => lab.ip('host', ...commands);

  /** Waits for a report that fulfils the condition; reports before it are forgotten. */
  async function report(
    what: string,
    condition: (byName: Map<string, InterfaceFacts>) => boolean,
  ): Promise<Map<string, InterfaceFacts>> {
    const deadline = performance.now() + 20_000;
    while (performance.now() < deadline) {
      const next = reports()[read];
      if (next === undefined) {
        await new Promise((resolve) => setTimeout(resolve, 2));
        continue;
      }
      read += 1;
      const byName = new Map((JSON.parse(next) as InterfaceFacts[]).map((facts) => [facts.name, facts]));
      if (condition(byName)) return byName;
    }
    throw new Error(`no report with ${what}`);
  }

  beforeAll(async () => {
    if (labObstacle() !== undefined) return;
    lab = await Lab.create({
      namespaces: { host: { sysctls: { 'net.ipv6.conf.default.disable_ipv6': 1 } } },
      links: [],
    });
    watching = lab.start('host', [process.execPath, join(import.meta.dirname, 'print-interfaces.ts')]);
    await watching.waitForOutput(/\n/);
  });

  afterAll(async () => {
    await lab?.[Symbol.asyncDispose]();
  });

  beforeEach(() => {
    read = reports().length;
  });

  it('reports creation, state, carrier, addresses, renaming, deletion and re-creation', async () => {
    await ip('link add left type veth peer name right');
    const created = await report('left', (found) => found.has('left') && found.has('right'));
    const left = created.get('left');
    expect(left).toMatchObject({ kind: 'veth', mtu: 1500, type: 1, operState: 'down', addresses: [] });
    expect(left?.mac).toMatch(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);
    expect((left?.flags ?? 0) & IFF_UP).toBe(0);

    await ip('link set left up');
    const up = await report('left up', (found) => ((found.get('left')?.flags ?? 0) & IFF_UP) !== 0);
    expect((up.get('left')?.flags ?? 0) & IFF_LOWER_UP).toBe(0);

    await ip('link set right up');
    await report('carrier', (found) => {
      const facts = found.get('left');
      return facts?.operState === 'up' && (facts.flags & IFF_LOWER_UP) !== 0;
    });

    await ip('address add 192.0.2.1/24 dev left');
    await ip('address add 192.0.2.2/24 dev left');
    await lab.run('host', ['sysctl', '-qw', 'net.ipv6.conf.left.disable_ipv6=0']);
    await ip('address add 2001:db8::1/64 dev left nodad');
    await report('addresses', (found) => {
      const addresses = found.get('left')?.addresses ?? [];
      return addresses[0] === '192.0.2.1/24' && addresses[1] === '192.0.2.2/24' && addresses.includes('2001:db8::1/64');
    });
    await ip('address delete 192.0.2.1/24 dev left');
    await report('address gone', (found) => !found.get('left')?.addresses.includes('192.0.2.1/24'));

    await ip('link set right down');
    await report('carrier lost', (found) => found.get('left')?.operState === 'lowerlayerdown');

    await ip('link set left down');
    await ip('link set left name renamed');
    const renamed = await report('renamed', (found) => found.has('renamed') && !found.has('left'));
    expect(renamed.get('renamed')?.index).toBe(left?.index);

    await ip('link delete renamed');
    await report('deletion', (found) => !found.has('renamed') && !found.has('right'));

    await ip('link add left type bridge');
    const again = await report('re-creation', (found) => found.get('left')?.kind === 'bridge');
    expect(again.get('left')?.index).not.toBe(left?.index);
  });

  it('merges a storm of changes and ends with the truth', async () => {
    await ip(...Array.from({ length: 300 }, (_, i) => `link add storm${i} type bridge`));
    let seen = 0;
    await report('all 300 bridges', (found) => {
      seen += 1;
      return [...found.keys()].filter((name) => name.startsWith('storm')).length === 300;
    });
    // Each creation alone makes several notifications.
    expect(seen).toBeLessThan(300);
  });

  it('ends in order when closed', async () => {
    expect(await watching.stop()).toMatchObject({ code: 0, signal: null, stderr: '' });
  });
});
