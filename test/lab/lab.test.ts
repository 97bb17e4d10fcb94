import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { command, commandSync } from './command.ts';
import { sendDatagrams } from './datagrams.ts';
import { Lab } from './lab.ts';
import { namespaceName } from './lab-id.ts';
import { removeLeftovers } from './leftovers.ts';
import { chain, dualBridge, twoHosts } from './topologies.ts';
import { describeWithLab } from './when-possible.ts';

/** Everything that a lab of this process, or of one it started, could leave: namespaces, interfaces, files. */
async function traces(pid: number = process.pid): Promise<string[]> {
  const namespaces = (await command(['ip', 'netns', 'list'])).split('\n');
  const links = (await command(['ip', '-brief', 'link'])).split('\n').map((line) => line.split(/\s/)[0] ?? '');
  const found = [...namespaces, ...readdirSync('/tmp')].filter((name) => name.includes(`-${pid}-`));
  return [...found, ...links].sort();
}

/** A run in a process of its own: makes a lab with a sleeping process in it and writes "ready ID PID". */
async function startRun(
  ending: string,
): Promise<{ run: ChildProcess; id: string; sleeper: number; output: () => string }> {
  const program = `
    import { Lab } from '${new URL('./lab.ts', import.meta.url).pathname}';
    await using lab = await Lab.create({ namespaces: { a: {}, b: {} }, links: [
      { a: { namespace: 'a', interface: 'eth0' }, b: { namespace: 'b', interface: 'eth0' } } ] });
    const sleeper = lab.start('a', ['sh', '-c', 'sleep 1000 & echo $!; exec sleep 1000']);
    await sleeper.waitForOutput(/[0-9]/);
    process.stdout.write('ready ' + lab.id + ' ' + sleeper.stdout.trim() + ' .\\n');
    ${ending}`;
  const run = spawn(process.execPath, ['--input-type=module-typescript', '--eval', program], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [run.stdout, run.stderr]) {
    stream.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
    });
  }
  for (let tries = 0; tries < 3_000 && !text.includes(' .\n'); tries += 1)
    await new Promise((done) => setTimeout(done, 10));
  const [, id, sleeper] = /ready (\S+) (\d+) \./.exec(text) ?? [];
  if (id === undefined) throw new Error(`the run did not start: ${text}`);
  return { run, id, sleeper: Number(sleeper), output: () => text };
}

async function ended(run: ChildProcess): Promise<{ code: number | null; signal: string | null }> {
  if (run.exitCode === null && run.signalCode === null) await new Promise((done) => run.on('exit', done));
  return { code: run.exitCode, signal: run.signalCode };
}

describeWithLab('lab', () => {
  it('carries packets along the chain and counts them where they arrive', async () => {
    await using lab = await Lab.create(chain());
    const before = await lab.interfaceCounters('relay', 'veth1');
    expect(await sendDatagrams(lab, { from: 'gen', to: 'relay', address: '10.0.0.2', count: 50, bytes: 1000 })).toBe(
      50,
    );
    const after = await lab.interfaceCounters('relay', 'veth1');
    expect(after.rxPackets - before.rxPackets).toBeGreaterThanOrEqual(50);
    expect(after.rxBytes - before.rxBytes).toBeGreaterThanOrEqual(50 * 1042);
    const beyond = { from: 'gen', to: 'sink', address: '10.0.1.2', count: 1 };
    await expect(sendDatagrams(lab, beyond)).rejects.toThrow('ENETUNREACH');
  });

  it('lets the kernel drop what the reverse path filter forbids, and counts it', async () => {
    const send = async (rpFilter: 0 | 1): Promise<{ arrived: number; dropped: number }> => {
      await using lab = await Lab.create(chain({ rpFilter }));
      await lab.ip('gen', 'address add 10.99.99.99/32 dev lo');
      // Asks for the relay's hardware address in its own name: as 10.99.99.99 it would get no answer.
      await lab.run('gen', ['sh', '-c', 'echo 2 > /proc/sys/net/ipv4/conf/all/arp_announce']);
      const spoofed = { from: 'gen', source: '10.99.99.99', to: 'relay', address: '10.0.0.2', count: 5 };
      const arrived = await sendDatagrams(lab, spoofed);
      return { arrived, dropped: await lab.protocolCounter('relay', 'TcpExtIPReversePathFilter') };
    };
    expect(await send(1)).toEqual({ arrived: 0, dropped: 5 });
    expect(await send(0)).toEqual({ arrived: 5, dropped: 0 });
  });

  it('connects both sides of the dual bridge with the relay', async () => {
    await using lab = await Lab.create(dualBridge());
    expect(await sendDatagrams(lab, { from: 'gen', to: 'relay', address: '10.0.0.20', count: 3 })).toBe(3);
    expect(await sendDatagrams(lab, { from: 'relay', to: 'sink', address: '10.0.1.30', count: 3 })).toBe(3);
    expect((await lab.run('relay', ['ip', '-details', 'link', 'show', 'br0'])).stdout).toContain('mcast_snooping 1');
  });

  it('lays out two hosts that reach the controller, one another and the receivers', async () => {
    await using lab = await Lab.create(twoHosts());
    for (const [from, to, address] of [
      ['host-a', 'controller', '10.9.0.1'],
      ['host-b', 'controller', '10.9.0.1'],
      ['source', 'host-a', '10.1.0.1'],
      ['host-a', 'host-b', '10.2.0.2'],
      ['host-b', 'viewer-1', '10.3.0.11'],
      ['host-b', 'viewer-2', '10.3.0.12'],
    ] as const) {
      expect(await sendDatagrams(lab, { from, to, address, count: 3 })).toBe(3);
    }
    expect((await lab.run('host-a', ['ip', 'route', 'get', '10.99.99.99'])).stderr).toContain('unreachable');
  });

  it('plugs cables in and out while it runs', async () => {
    await using lab = await Lab.create({ namespaces: { a: {}, b: {} }, links: [] });
    const cable = {
      a: { namespace: 'a', interface: 'eth7', addresses: ['192.0.2.1/24'] },
      b: { namespace: 'b', interface: 'eth7', addresses: ['192.0.2.2/24'] },
    };
    for (let time = 0; time < 2; time += 1) {
      await lab.addLink(cable);
      expect(await sendDatagrams(lab, { from: 'a', to: 'b', address: '192.0.2.2', count: 1 })).toBe(1);
      await lab.deleteInterface('b', 'eth7');
      await expect(lab.interfaceCounters('a', 'eth7')).rejects.toThrow('no interface');
    }
  });

  it('gives the pid of the program itself, and its output and status', async () => {
    await using lab = await Lab.create({ namespaces: { a: {} }, links: [] });
    const result = lab.start('a', ['sh', '-c', 'echo $$; echo problem >&2; cat; exit 7'], { input: 'read', cpu: 0 });
    expect(await result.exited).toEqual({ code: 7, signal: null, stdout: `${result.pid}\nread`, stderr: 'problem\n' });
    const killed = lab.start('a', ['sleep', '1000']);
    expect(await killed.kill()).toMatchObject({ code: null, signal: 'SIGKILL' });
    await expect(lab.start('a', ['true']).waitForOutput(/never/)).rejects.toThrow('ended before it wrote');
    expect((await lab.run('a', ['no-such-program'])).stderr).toContain('no-such-program');
    await expect(lab.ip('a', 'link set dev nothing up')).rejects.toThrow('nothing');
    expect(() => lab.start('b', ['true'])).toThrow('no namespace "b"');
  });

  it('leaves nothing behind at its end, nor when laying out fails half-way', async () => {
    const before = await traces();
    {
      await using lab = await Lab.create(dualBridge());
      lab.start('relay', ['sh', '-c', 'trap "" TERM; while :; do sleep 1; done']);
      expect(await traces()).not.toEqual(before);
    }
    expect(await traces()).toEqual(before);
    const refused = { namespaces: { a: { sysctls: { 'net.no.such.setting': 1 } } }, links: [] };
    await expect(Lab.create(refused)).rejects.toThrow('net/no/such/setting');
    expect(await traces()).toEqual(before);
  });

  it.each([
    ['ends by itself', '', undefined, { code: 0, signal: null }],
    [
      'throws',
      'setTimeout(() => { throw new Error("on purpose") }, 1); await new Promise(() => undefined);',
      undefined,
      { code: 1, signal: null },
    ],
    ['calls process.exit', 'process.exit(3);', undefined, { code: 3, signal: null }],
    [
      'gets SIGINT',
      'setInterval(() => {}, 1000); await new Promise(() => undefined);',
      'SIGINT',
      { code: null, signal: 'SIGINT' },
    ],
    [
      'gets SIGTERM',
      'setInterval(() => {}, 1000); await new Promise(() => undefined);',
      'SIGTERM',
      { code: null, signal: 'SIGTERM' },
    ],
    [
      'gets SIGHUP',
      'setInterval(() => {}, 1000); await new Promise(() => undefined);',
      'SIGHUP',
      { code: null, signal: 'SIGHUP' },
    ],
  ] as const)('leaves nothing behind if the run %s', async (_how, ending, signal, status) => {
    const { run, id, sleeper } = await startRun(ending);
    if (signal !== undefined) run.kill(signal);
    expect(await ended(run)).toEqual(status);
    expect((await traces(run.pid)).filter((name) => name.includes(id))).toEqual([]);
    expect(isRunning(sleeper)).toBe(false);
  });

  it('removes what a run left that was killed, and only that', async () => {
    const { run, id, sleeper } = await startRun('setInterval(() => {}, 1000); await new Promise(() => undefined);');
    removeLeftovers();
    expect(existsSync(`/run/netns/${namespaceName(id, 'a')}`)).toBe(true);
    expect(isRunning(sleeper)).toBe(true);

    run.kill('SIGKILL');
    await ended(run);
    expect(existsSync(`/run/netns/${namespaceName(id, 'a')}`)).toBe(true);
    expect(isRunning(sleeper)).toBe(true);

    await using lab = await Lab.create({ namespaces: { a: {} }, links: [] });
    expect(existsSync(`/run/netns/${namespaceName(id, 'a')}`)).toBe(false);
    expect(isRunning(sleeper)).toBe(false);
    expect((await traces(run.pid)).filter((name) => name.includes(id))).toEqual([]);
    expect(existsSync(`/run/netns/${lab.realName('a')}`)).toBe(true);
  });

  it('works without root, inside a user namespace', async (context) => {
    const nobody = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'] as const;
    if (commandSync([...nobody, 'unshare', '--user', '--net', 'true']).code !== 0) {
      context.skip('this machine forbids user namespaces without root');
    }
    const enter = fileURLToPath(new URL('./enter.ts', import.meta.url));
    const program = `
      import { Lab } from '${new URL('./lab.ts', import.meta.url).pathname}';
      import { chain } from '${new URL('./topologies.ts', import.meta.url).pathname}';
      import { sendDatagrams } from '${new URL('./datagrams.ts', import.meta.url).pathname}';
      await using lab = await Lab.create(chain());
      const arrived = await sendDatagrams(lab, { from: 'gen', to: 'relay', address: '10.0.0.2', count: 3 });
      process.stdout.write('arrived ' + arrived + ', uid ' + process.getuid());`;
    const inside = [process.execPath, '--input-type=module-typescript', '--eval', program];
    const before = await traces();
    const result = commandSync([...nobody, process.execPath, enter, ...inside]);
    expect(result).toMatchObject({ code: 0, stdout: 'arrived 3, uid 0' });
    expect(await traces()).toEqual(before);
  });
});

function isRunning(pid: number): boolean {
  return existsSync(`/proc/${pid}/stat`) && !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
}
