/** Options of the data plane that an agent is given: in effect in each one that it starts, and told where they are not. */
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import type { StatusResponse } from '@mcfleet/proto/mcfleet/v1/dataplane_service';
import { expect, it } from 'vitest';
import { parseProcessTime } from '../bench/processor-time.ts';
import { Fleet, mcfleet } from '../fleet/fleet.ts';
import { host, RelayPath } from '../fleet/relay-path.ts';
import { until } from '../fleet/until.ts';
import { Lab } from '../lab/lab.ts';
import { chain } from '../lab/topologies.ts';
import { describeWithLab } from '../lab/when-possible.ts';
import { askDataplane } from './agent/agent-process.ts';
import { expectAll } from './all-arrived.ts';

/** A path whose agent is started by a command that may be changed before it is started again. */
class TunedPath implements AsyncDisposable {
  readonly path: RelayPath;
  agentCommand: (argv: readonly string[]) => readonly string[];

  private constructor(path: RelayPath, agentCommand: TunedPath['agentCommand']) {
    this.path = path;
    this.agentCommand = agentCommand;
  }

  static async start(agentCommand: TunedPath['agentCommand']): Promise<TunedPath> {
    const lab = await Lab.create(chain());
    try {
      let tuned: TunedPath | undefined;
      const fleet = await Fleet.start(lab, {
        controller: 'relay',
        hosts: { [host]: 'relay' },
        agentCommand: (argv) => (tuned?.agentCommand ?? agentCommand)(argv),
      });
      tuned = new TunedPath(RelayPath.over(lab, fleet, 'chain'), agentCommand);
      return tuned;
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
  }

  static withOptions(...options: string[]): Promise<TunedPath> {
    return TunedPath.start((argv) => [...argv, ...options]);
  }

  describeHost(): Promise<string> {
    return this.path.fleet.command(['describe', 'host', host]);
  }

  /** Of a data plane that answers, and is another one than `before`. */
  status(before = 0): Promise<StatusResponse> {
    return until('the data plane answers', async () => {
      const answer = await askDataplane(this.path.fleet.dataplaneSocket(host)).catch(() => undefined);
      return answer !== undefined && answer.status.pid !== before && answer.status;
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.path[Symbol.asyncDispose]();
  }
}

/** CPUs that this process may use. */
function allowedCpus(): number[] {
  const list = /^Cpus_allowed_list:\s*(.*)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '';
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

/** The threads of a process that may run on one CPU only. */
function pinnedThreads(pid: number): { tid: number; cpu: number }[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((tid) => {
    const list = /^Cpus_allowed_list:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/task/${tid}/status`, 'utf8'))?.[1];
    return list === undefined ? [] : [{ tid: Number(tid), cpu: Number(list) }];
  });
}

/** Which part of the next half of a second a thread runs. */
async function load(pid: number, tid: number): Promise<number> {
  const seconds = (): number => parseProcessTime(readFileSync(`/proc/${pid}/task/${tid}/stat`, 'utf8'));
  const [began, before] = [performance.now(), seconds()];
  await new Promise((resolve) => setTimeout(resolve, 500));
  return (seconds() - before) / ((performance.now() - began) / 1_000);
}

describeWithLab('options of the data plane that an agent is given', () => {
  it('are in effect, also in the next one after kill -9', async () => {
    const cpus = allowedCpus();
    const workerCpus = [cpus[0] ?? 0, cpus.at(-1) ?? 0];
    const options = ['--workers', '2', '--ring-ms', '100', '--busy-poll-us', '50', '--transmit', 'sendmmsg'];
    await using tuned = await TunedPath.withOptions(...options, '--cpus', workerCpus.join(','));
    const { path } = tuned;
    await path.apply({ camera: path.spec() });
    const expectInEffect = async (status: StatusResponse): Promise<void> => {
      expect(status.options).toEqual({
        ringBytes: 100n * 150n * 2048n,
        busyPollUs: 50,
        workers: 2,
        cpus: workerCpus,
        transmit: 'sendmmsg',
        exclusiveInput: false,
      });
      expect(status.conditions).toEqual([]);
      expect(status.workers.map(({ cpu }) => cpu)).toEqual(workerCpus);
      if (availableParallelism() > 1) {
        const pinned = pinnedThreads(status.pid).map(({ cpu }) => cpu);
        expect(pinned.sort((a, b) => a - b)).toEqual(workerCpus);
      }
      const forwarding = await until('it forwards', async () => {
        const now = await tuned.status();
        return now.inputs.length === 1 && now.outputs.length === 1 && now;
      });
      const { inputs, outputs } = forwarding;
      // Each worker has a ring, in whole blocks.
      expect(inputs[0]?.ringSlots).toBeGreaterThanOrEqual(2 * 100 * 150);
      expect(inputs[0]?.ringSlots).toBeLessThan(2 * 100 * 150 + 512);
      expect(outputs).toMatchObject([{ transmit: 'sendmmsg', outputs: 1 }]);
    };
    const first = await tuned.status();
    await expectInEffect(first);
    expectAll(await path.carry({ count: 2_000, rate: 10_000 }));

    process.kill(first.pid, 'SIGKILL');
    const second = await tuned.status(first.pid);
    await expectInEffect(second);
    await path.fleet.command(['wait', 'relay', 'camera', '--for=ready', '--timeout', '60s'], { timeoutMs: 90_000 });
    expectAll(await path.carry({ count: 2_000, rate: 10_000 }));
    await expect
      .poll(() => tuned.describeHost(), { timeout: 60_000 })
      .toContain(
        `--ring-ms 100 --busy-poll-us 50 --workers 2 --cpus ${workerCpus.join(',')} --transmit sendmmsg no --exclusive-input no --mroute-table\n`,
      );
    await expect
      .poll(() => tuned.describeHost(), { timeout: 60_000 })
      .toMatch(/worker [01]: +on CPU \d+, took 2000 packets/);
  });

  it('make its worker spin while packets come, and let it sleep afterwards', async () => {
    const [cpu = 0] = allowedCpus();
    await using tuned = await TunedPath.withOptions('--busy-poll-us', '1000', '--cpus', String(cpu));
    const { path } = tuned;
    await path.apply({ camera: path.spec() });
    const { pid } = await tuned.status();
    // The worker alone, unless this machine has no other CPU.
    const threads = pinnedThreads(pid).map(({ tid }) => tid);
    const loads = async (): Promise<number> => Math.max(...(await Promise.all(threads.map((tid) => load(pid, tid)))));
    // Each packet costs it some microseconds: without spinning this is two hundredths of the time. On a busy machine packets come in bursts
    // with gaps between, in which it sleeps.
    const carried = await path.carryDuring({ rate: 2_000, size: 100 }, async () => {
      await until('it spins', async () => (await loads()) > 0.15);
    });
    expectAll(carried);
    await until('it sleeps', async () => (await loads()) < 0.05);
  });

  it('are told to wait for the next one by an agent that adopts a data plane with others', async () => {
    await using tuned = await TunedPath.withOptions();
    const { path } = tuned;
    const { fleet } = path;
    await path.apply({ camera: path.spec() });
    const { pid } = await tuned.status();
    expect(await tuned.describeHost()).not.toContain('OtherDataplaneOptions');
    const carried = await path.carryDuring({ rate: 5_000 }, async () => {
      await fleet.agent(host).kill();
      tuned.agentCommand = (argv) => [...argv, '--workers', '2', '--ring-ms', '500'];
      fleet.startAgent(host);
      await fleet.waitForHosts();
      await expect
        .poll(() => tuned.describeHost(), { timeout: 60_000 })
        .toMatch(
          new RegExp(
            `OtherDataplaneOptions: yes.*process ${pid}\\) was started with --ring-ms 250, --workers 1, and the agent has --ring-ms 500, --workers 2 `,
          ),
        );
      expect(await tuned.describeHost()).toMatch(/options: +--ring-ms 250 .*--workers 1 /);
    });
    expectAll(carried);
    expect(fleet.dataplanePid(host)).toBe(pid);
    expect(fleet.agent(host).stderr).toContain('"reason":"StartedBefore"');

    process.kill(pid, 'SIGKILL');
    expect(await tuned.status(pid)).toMatchObject({ options: { ringBytes: 500n * 150n * 2048n, workers: 2 } });
    await expect
      .poll(() => tuned.describeHost(), { timeout: 60_000 })
      .toMatch(/options: +--ring-ms 500 .*--workers 2 /);
    expect(await tuned.describeHost()).not.toContain('OtherDataplaneOptions');
  });

  it('that its data plane refuses are told at the host, and not tried again and again', async () => {
    const began = performance.now();
    await using tuned = await TunedPath.withOptions('--cpus', '1023');
    await expect
      .poll(() => tuned.describeHost(), { timeout: 60_000 })
      .toMatch(/DataplaneHealthy: no.*OptionsRefused.*run on CPU 1023, where this process may use [0-9,-]+/);
    const agent = tuned.path.fleet.agent(host);
    expect(agent.running).toBe(true);
    const starts = agent.stderr.match(/"started a data plane"/g)?.length ?? 0;
    expect(starts).toBeGreaterThan(0);
    // Once in half a minute.
    expect(starts).toBeLessThanOrEqual(1 + (performance.now() - began) / 30_000);
  });

  it('that are none end the agent before it starts a data plane, with all that is wrong', async () => {
    await using lab = await Lab.create(chain());
    const argv = [mcfleet, 'agent', '--name', host, '--controller', '127.0.0.1:7401', '--state-dir', lab.directory];
    expect(await lab.run('relay', [...argv, '--workers', '0', '--transmit', 'fast'])).toMatchObject({
      code: 2,
      stderr:
        "mcfleet agent: --workers: is '0'; it is a number of packet threads from 1 to 16\n" +
        "mcfleet agent: --transmit: is 'fast'; it is one of auto, gso, sendmmsg, io_uring\n" +
        "Try 'mcfleet agent --help'.\n",
    });
  });

  it('that cannot be had, as io_uring where it is forbidden, are told at the host and at each output', async () => {
    const refuse = new URL('../../native/test/refuse-call.py', import.meta.url).pathname;
    await using tuned = await TunedPath.start((argv) => [
      'python3',
      refuse,
      'io_uring_setup',
      '1',
      ...argv,
      '--transmit',
      'io_uring',
    ]);
    const { path } = tuned;
    await expect
      .poll(() => tuned.describeHost(), { timeout: 60_000 })
      .toMatch(/TransmitUnavailable: yes.*IoUringForbidden.*io_uring is asked for by --transmit and forbidden here/);
    await path.apply({
      camera: path.spec({ outputs: [{ address: '239.9.9.9', port: 5099 }, { address: '10.0.1.2' }] }),
    });
    expectAll(await path.carry({ count: 2_000 }));
    const described = (): Promise<string> => path.fleet.command(['describe', 'relay', 'camera']);
    await expect
      .poll(described, { timeout: 60_000 })
      .toMatch(/239\.9\.9\.9:5099@veth3 .* sendmmsg \(io_uring is forbidden\)/);
    expect(await described()).toMatch(/10\.0\.1\.2:5001@veth3 .* sendmmsg \(io_uring is for groups\)/);
  });
});

describeWithLab('how outputs send', () => {
  it('is told of each, though they leave by one interface', async () => {
    await using path = await RelayPath.start('chain');
    await path.apply({
      camera: path.spec({ outputs: [{ address: '239.9.9.9', port: 5099 }, { address: '10.0.1.77' }] }),
    });
    const { capabilities } = (await askDataplane(path.fleet.dataplaneSocket(host))).status;
    const [group, receiver] = capabilities.includes('tx.gso')
      ? [/gso \(cut by the (device|kernel)\)/, /sendmmsg \(neighbour not resolved\)/]
      : [/sendmmsg \(kernel too old for gso\)/, /sendmmsg \(kernel too old for gso\)/];
    const described = (): Promise<string> => path.fleet.command(['describe', 'relay', 'camera']);
    await expect
      .poll(described, { timeout: 60_000 })
      .toMatch(new RegExp(`239\\.9\\.9\\.9:5099@veth3 .* ${group.source} `));
    expect(await described()).toMatch(new RegExp(`10\\.0\\.1\\.77:5001@veth3 .* ${receiver.source} `));
    await expect
      .poll(() => path.fleet.command(['describe', 'host', host]), { timeout: 60_000 })
      .toMatch(/veth3: +sends 1 output: sendmmsg/);
  });
});
