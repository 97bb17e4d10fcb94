/** What programs do when their files, sockets or privileges are not as they should be. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { InstanceState } from '@mcfleet/proto/mcfleet/v1/relay';
import { expect, it } from 'vitest';
import { Fleet, mcfleet } from '../fleet/fleet.ts';
import { host, RelayPath, relayDocuments } from '../fleet/relay-path.ts';
import { Lab } from '../lab/lab.ts';
import { chain } from '../lab/topologies.ts';
import { describeWithLab } from '../lab/when-possible.ts';
import { expectAll } from './all-arrived.ts';

const rate = 20_000;

describeWithLab('a controller', () => {
  it('refuses a data directory that another one uses, which is not disturbed', async () => {
    await using path = await RelayPath.start('chain');
    await path.apply({ camera: path.spec() });
    const ports = ['--admin-listen', '127.0.0.1:7500', '--agent-listen', '127.0.0.1:7501'];
    const second = [mcfleet, 'controller', '--data-dir', path.fleet.controllerDirectory, ...ports];
    const result = await path.lab.run('relay', second, { timeoutMs: 60_000 });
    expect(result).toMatchObject({ code: 1 });
    expect(result.stderr).toContain(path.fleet.controllerDirectory);
    expect(result.stderr).toMatch(/another|in use|already|locked/i);
    expect(await path.fleet.command(['get', 'relays', '-o', 'name'])).toBe('camera\n');
    await path.apply({ more: path.spec({ input: { port: 5002 } }) });
  });

  it('refuses a store that is damaged, and leaves it as it is', async () => {
    await using path = await RelayPath.start('chain');
    await path.apply({ camera: path.spec() });
    await path.fleet.controller.stop();
    const store = readdirSync(path.fleet.controllerDirectory).find((name) => /\.(db|sqlite3?)$/.test(name));
    if (store === undefined) throw new Error(`no store among ${readdirSync(path.fleet.controllerDirectory)}`);
    const file = `${path.fleet.controllerDirectory}/${store}`;
    const damaged = readFileSync(file).fill(0x5a, 0, 8_192);
    writeFileSync(file, damaged);
    const result = await path.fleet.startController().exited;
    expect(result).toMatchObject({ code: 1 });
    expect(result.stderr).toContain(file);
    expect(readFileSync(file).equals(damaged)).toBe(true);
    // The host goes on by what it has.
    expectAll(await path.carry({ count: rate, rate }));
  });

  it('refuses writes when its disk is full, and goes on with what it has', async () => {
    await using lab = await Lab.create(chain());
    const directory = `${lab.directory}/controller`;
    mkdirSync(directory);
    // The small disk is seen by the controller alone, and gone with it.
    const mount = 'mount -t tmpfs -o size=2m tmpfs "$0" && exec "$@"';
    const fleet = await Fleet.start(lab, {
      controller: 'relay',
      hosts: { [host]: 'relay' },
      controllerCommand: (argv) => ['unshare', '--mount', 'sh', '-c', mount, directory, ...argv],
    });
    const path = RelayPath.over(lab, fleet, 'chain');
    await path.apply({ camera: path.spec() });
    const carried = await path.carryDuring({ rate }, async () => {
      const padding = 'x'.repeat(100_000);
      let result = await fleet.run(['get', 'relays']);
      for (let number = 0; number < 40 && result.code === 0; number += 1) {
        const relay = { ...path.spec({ input: { port: 6_000 + number } }) };
        const input = relayDocuments({ [`filler-${number}`]: relay }).replace(
          'metadata:',
          `metadata:\n  annotations: {padding: ${padding}}`,
        );
        result = await fleet.run(['apply', '-f', '-'], { input });
      }
      expect(result.code).toBeGreaterThanOrEqual(64);
      expect(result.stderr).toMatch(/space|full/i);
      expect(await fleet.command(['get', 'relays', '-o', 'name'])).toContain('camera');
      expect(fleet.controller.running).toBe(true);
    });
    expectAll(carried);
  });
});

describeWithLab('an agent', () => {
  it('sets a damaged cache aside and fetches its state again', async () => {
    await using path = await RelayPath.start('chain');
    await path.apply({ camera: path.spec() });
    const directory = path.fleet.agentDirectory(host);
    const dataplane = path.fleet.dataplanePid(host);
    await path.fleet.agent(host).kill();
    if (dataplane !== undefined) process.kill(dataplane, 'SIGKILL');
    const file = `${directory}/state.bin`;
    const damaged = readFileSync(file);
    damaged.writeUInt8(damaged.readUInt8(damaged.length - 1) ^ 0xff, damaged.length - 1);
    writeFileSync(file, damaged);

    path.fleet.startAgent(host);
    await path.fleet.waitForHosts();
    await path.fleet.command(['wait', 'relay', 'camera', '--for=ready']);
    const aside = readdirSync(directory).filter((name) => name.startsWith('state.bin.corrupt-'));
    expect(aside).toHaveLength(1);
    expect(readFileSync(`${directory}/${aside[0]}`).equals(damaged)).toBe(true);
    expect(path.fleet.agent(host).stderr).toContain(aside[0]);
    expectAll(await path.carry({ count: rate, rate }));
  });

  it('forwards from memory when its disk is full, and says so', async () => {
    await using lab = await Lab.create(chain());
    const mount =
      'mount -t tmpfs -o size=64k tmpfs "$0" && dd if=/dev/zero of="$0/filler" bs=1k count=100 2>/dev/null; exec "$@"';
    const directory = `${lab.directory}/${host}`;
    const fleet = await Fleet.start(lab, {
      controller: 'relay',
      hosts: { [host]: 'relay' },
      agentCommand: (argv) => ['unshare', '--mount', 'sh', '-c', mount, directory, ...argv],
    });
    const path = RelayPath.over(lab, fleet, 'chain');
    await path.apply({ camera: path.spec() });
    expectAll(await path.carry({ count: rate, rate }));
    await expect
      .poll(async () => await fleet.command(['describe', 'host', host]), { timeout: 60_000 })
      .toMatch(/no space left/i);
  });

  it('tells that its data plane does not answer, and when it does again', async () => {
    await using path = await RelayPath.start('chain');
    const dataplane = path.fleet.dataplanePid(host);
    if (dataplane === undefined) throw new Error('no data plane runs');
    const described = async (): Promise<string> => await path.fleet.command(['describe', 'host', host]);
    process.kill(dataplane, 'SIGSTOP');
    await expect
      .poll(described, { timeout: 60_000 })
      .toMatch(
        new RegExp(
          `DataplaneHealthy: no.* no answer came within [0-9.]+ s; if that lasts, end its process ${dataplane}: `,
        ),
      );
    process.kill(dataplane, 'SIGCONT');
    await expect.poll(described, { timeout: 60_000 }).toMatch(/DataplaneHealthy: yes/);
    expect(path.fleet.dataplanePid(host)).toBe(dataplane);
  });

  it('leaves a socket alone that another program serves, and says so', async () => {
    await using lab = await Lab.create(chain());
    const fleet = Fleet.prepare(lab, { controller: 'relay', hosts: { [host]: 'relay' } });
    const other = createServer((socket) => {
      // Whoever calls may hang up at any time.
      socket.on('error', () => undefined);
      socket.end('not a data plane', () => socket.destroy());
    });
    await new Promise<void>((listening) => other.listen(fleet.dataplaneSocket(host), listening));
    const dataplane = await lab.run('relay', [mcfleet, 'dataplane', '--socket', fleet.dataplaneSocket(host)], {
      timeoutMs: 60_000,
    });
    expect(dataplane).toMatchObject({ code: 1 });
    expect(dataplane.stderr).toContain(fleet.dataplaneSocket(host));

    fleet.startController();
    fleet.startAgent(host);
    await fleet.waitForHosts();
    await expect
      .poll(async () => await fleet.command(['describe', 'host', host]), { timeout: 60_000 })
      .toContain('DataplaneHealthy');
    await expect
      .poll(async () => await fleet.command(['describe', 'host', host]), { timeout: 60_000 })
      .toContain(fleet.dataplaneSocket(host));
    // Once it is gone, the agent's own data plane takes the place.
    await new Promise((closed) => other.close(closed));
    const path = RelayPath.over(lab, fleet, 'chain');
    await path.apply({ camera: path.spec() });
    expectAll(await path.carry({ count: rate, rate }));
  });

  it('tells when its data plane may not open packet sockets', async () => {
    await using lab = await Lab.create(chain());
    const fleet = await Fleet.start(lab, {
      controller: 'relay',
      hosts: { [host]: 'relay' },
      agentCommand: (argv) => ['setpriv', '--bounding-set', '-net_raw', '--inh-caps', '-net_raw', ...argv],
    });
    const path = RelayPath.over(lab, fleet, 'chain');
    await fleet.command(['apply', '-f', '-'], { input: relayDocuments({ camera: path.spec() }) });
    await expect
      .poll(async () => await fleet.command(['describe', 'host', host]), { timeout: 60_000 })
      .toContain('CAP_NET_RAW');
    const [instance] = await fleet.instances();
    expect(instance?.state).not.toBe(InstanceState.READY);
    expect(fleet.agent(host).running).toBe(true);
  });
});
