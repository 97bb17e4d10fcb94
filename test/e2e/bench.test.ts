import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { BenchRun } from '../bench/bench-run.ts';
import { benchCases } from '../bench/cases.ts';
import { checkContent } from '../bench/content-check.ts';
import { quickEffort } from '../bench/effort.ts';
import { endsOf } from '../bench/ends.ts';
import type { Engine } from '../bench/engine.ts';
import { mcfleet } from '../bench/engines/mcfleet.ts';
import { socat } from '../bench/engines/socat.ts';
import { ForeignLoad } from '../bench/foreign-load.ts';
import { judge } from '../bench/must-hold/requirements.ts';
import { checkOutputs } from '../bench/output-check.ts';
import { wrongOutputs } from '../bench/output-verdict.ts';
import type { BenchReport, CheckedOutput } from '../bench/results.ts';
import { Stage } from '../bench/stage.ts';
import { measureThroughput } from '../bench/throughput.ts';
import { runTrial } from '../bench/trial.ts';
import { describeWithLab } from '../lab/when-possible.ts';

const MAIN = join(import.meta.dirname, '../bench/main.ts');

describeWithLab('bench', () => {
  test('a trial counts what arrives at the sink: nothing without a relay, everything with one, half with half of the copies', async () => {
    await using stage = await Stage.create({ mtu: 1_500, outputs: 1, family: 4 });
    await stage.setSegmentation({ source: false, outputs: true });
    const load = new ForeignLoad([process.pid, ...stage.pids]);
    const one = { group: '239.10.1.1', port: 6001 };
    const plan = {
      streams: [{ input: { group: '239.1.1.1', port: 5001 }, outputs: [one] }],
      family: 4 as const,
      spread: false,
      idleRelays: 0,
      hostRules: false,
      options: [],
    };
    const traffic = { plan, size: 1316, segments: 20, rate: 2_000, seconds: 0.5 };

    const alone = await runTrial(stage, [], load, traffic);
    expect(alone).toMatchObject({ sent: 1_000, expected: 1_000, arrived: 0, lossless: false });

    await using relay = await socat(true).start(stage, plan);
    expect(relay.note).toContain('33554432');
    const through = await runTrial(stage, relay.pids, load, traffic);
    expect(through).toMatchObject({ sent: 1_000, expected: 1_000, arrived: 1_000, lossless: true });

    const outputs = [one, { group: '239.10.1.2', port: 6001 }];
    const twice = { ...traffic, plan: { ...plan, streams: plan.streams.map((stream) => ({ ...stream, outputs })) } };
    expect(await runTrial(stage, relay.pids, load, twice)).toMatchObject({
      expected: 2_000,
      arrived: 1_000,
      lossless: false,
    });
  });

  test('a receiver that stood still while packets came judges all of them, and tells what came twice', async () => {
    await using stage = await Stage.create({ mtu: 1_500, outputs: 1, family: 4 });
    await stage.setSegmentation({ source: true, outputs: true });
    const streams = [
      { input: { group: '239.1.1.1', port: 5001 }, outputs: [{ group: '239.10.1.1', port: 6001 }] },
      { input: { group: '239.1.1.2', port: 5001 }, outputs: [{ group: '239.10.1.2', port: 6001 }] },
    ];
    const plan = { streams, family: 4 as const, spread: false, idleRelays: 0, hostRules: false, options: [] };
    const traffic = { plan, size: 1316, segments: 20, rate: 10_000 };
    const once = {
      received: 5_000,
      sent: 5_000,
      lost: 0,
      reordered: 0,
      corrupt: 0,
      receiverDrops: 0,
      same_sha256: true,
    };

    await using relay = await mcfleet.start(stage, plan);
    const alone = await checkContent(stage, relay, traffic);
    expect(alone).toMatchObject({ ...once, duplicates: 0, missing_at_interface: 0, earlier: [], whole: null });

    await using _second = await socat(true).start(stage, plan);
    const doubled = await checkContent(stage, relay, traffic);
    expect(doubled).toMatchObject(once);
    expect(doubled.duplicates).toBeGreaterThan(0);
    expect(doubled.missing_at_interface).toBeLessThan(0);
  });

  describe('each output is heard by itself', () => {
    const traffic = { size: 1316, segments: 20 };
    const planOf = (copies: readonly (readonly number[])[], spread = false) => ({
      streams: copies.map((groups, stream) => ({
        input: { group: `239.1.1.${stream + 1}`, port: 5001 },
        outputs: groups.map((group) => ({ group: `239.10.1.${group}`, port: 6001 })),
      })),
      family: 4 as const,
      spread,
      idleRelays: 0,
      hostRules: false,
      options: [],
    });
    /** A relay that was given another plan than it was asked for. */
    const astray = (given: ReturnType<typeof planOf>): Engine => ({
      ...mcfleet,
      start: async (stage, asked) => {
        const ends = endsOf(asked, (copy, output) => ({
          interface: stage.sinkInterface(asked.spread ? copy : 0),
          ...output,
        }));
        return { ...(await mcfleet.start(stage, given)), ends };
      },
    });
    const lostAt = (outputs: readonly CheckedOutput[]): number[] => outputs.map(({ lost }) => lost);

    test('all of two streams with four copies are right', async () => {
      await using stage = await Stage.create({ mtu: 1_500, outputs: 1, family: 4 });
      await stage.setSegmentation({ source: false, outputs: true });
      const plan = planOf([
        [1, 2, 3, 4],
        [5, 6, 7, 8],
      ]);
      await using relay = await mcfleet.start(stage, plan);
      const each = await checkOutputs(stage, relay.ends, { plan, ...traffic });
      expect(wrongOutputs(each)).toEqual([]);
      expect(each).toMatchObject({ rate: 1_000, astray: 0 });
      expect(each.outputs.map(({ group, received }) => [group, received])).toEqual([
        ...[1, 2, 3, 4].map((group) => [`239.10.1.${group}`, 300]),
        ...[5, 6, 7, 8].map((group) => [`239.10.1.${group}`, 301]),
      ]);
    });

    test('a copy for a group that nobody asked for makes the rate none, though sum and last output are right', async () => {
      const plan = planOf([[1, 2, 3, 4, 5, 6, 7, 8]]);
      const engine = astray(planOf([[1, 2, 66, 4, 5, 6, 7, 8]]));
      const found = benchCases.find(({ id }) => id === '1to8');
      if (found?.kind !== 'throughput') throw new Error('there is no case 1to8');
      const effort = { ...quickEffort, maxAttempts: 4, repeats: 0 };
      await using run = new BenchRun({ effort, realtime: false, verbose: false });
      const result = await measureThroughput(run, { ...found, plan }, engine);
      expect(result.checked).toMatchObject({ lost: 0, same_sha256: true });
      expect(result.each_output).toMatchObject({ astray: 300 });
      expect(lostAt(result.each_output?.outputs ?? [])).toEqual([0, 0, 300, 0, 0, 0, 0, 0]);
      const judged = judge([{ id: '1to8', title: '', results: [{ ...result, confirmed: 3, out_pps: 9e6 }] }]);
      expect(judged.find(({ id }) => id === '1to8-default-rate')).toMatchObject({
        figure: '0 pps',
        why: expect.stringContaining('239.10.1.3:6001 at veth2: 300 of 300 lost'),
      });
    });

    test('one output twice and another not at all, and streams that changed places', async () => {
      await using stage = await Stage.create({ mtu: 1_500, outputs: 1, family: 4 });
      await stage.setSegmentation({ source: false, outputs: true });
      const load = new ForeignLoad([process.pid, ...stage.pids]);
      {
        const plan = planOf([[1, 2]]);
        await using relay = await astray(planOf([[1]])).start(stage, plan);
        await using _again = await socat(true).start(stage, planOf([[1]]));
        const trial = await runTrial(stage, relay.pids, load, { plan, ...traffic, rate: 2_000, seconds: 0.2 });
        expect(trial).toMatchObject({ expected: 800, arrived: 800 });
        const each = await checkOutputs(stage, relay.ends, { plan, ...traffic });
        expect(each.outputs.map(({ received, duplicates }) => [received, duplicates])).toEqual([
          [300, 300],
          [0, 0],
        ]);
      }
      const plan = planOf([[1], [2]]);
      await using relay = await astray(planOf([[2], [1]])).start(stage, plan);
      const each = await checkOutputs(stage, relay.ends, { plan, ...traffic });
      expect(lostAt(each.outputs)).toEqual([-1, 1]);
      expect(each.outputs.map(({ same_sha256 }) => same_sha256)).toEqual([false, false]);
    });

    test('by interfaces of their own, copies that changed places, and a rate of which one interface has too many', async () => {
      await using stage = await Stage.create({ mtu: 1_500, outputs: 2, family: 4 });
      await stage.setSegmentation({ source: false, outputs: true });
      const load = new ForeignLoad([process.pid, ...stage.pids]);
      const plan = planOf([[1, 2]], true);
      {
        await using relay = await astray(planOf([[2, 1]], true)).start(stage, plan);
        const each = await checkOutputs(stage, relay.ends, { plan, ...traffic });
        expect(lostAt(each.outputs)).toEqual([300, 300]);
        expect(each.astray).toBe(600);
      }
      await using relay = await astray(planOf([[1, 2]])).start(stage, plan);
      const trial = await runTrial(stage, relay.pids, load, { plan, ...traffic, rate: 2_000, seconds: 0.2 });
      expect(trial).toMatchObject({ expected: 800, arrived: 800, lossless: false });
    });
  });

  test('of two workers both must have forwarded: with one group only one does', async () => {
    await using stage = await Stage.create({ mtu: 1_500, outputs: 1, family: 4 });
    const load = new ForeignLoad([process.pid, ...stage.pids]);
    const faultWith = async (groups: number): Promise<string | undefined> => {
      const streams = Array.from({ length: groups }, (_, index) => ({
        input: { group: `239.1.1.${index + 1}`, port: 5001 },
        outputs: [{ group: `239.10.1.${index + 1}`, port: 6001 }],
      }));
      const plan = {
        streams,
        family: 4 as const,
        spread: false,
        idleRelays: 0,
        hostRules: false,
        options: ['--workers', '2'],
      };
      await using relay = await mcfleet.start(stage, plan);
      const trial = await runTrial(stage, relay.pids, load, {
        plan,
        size: 200,
        segments: 1,
        rate: 2_000,
        seconds: 0.2,
      });
      expect(trial.arrived).toBe(400);
      return await relay.fault?.();
    };
    expect(await faultWith(1)).toMatch(/^1 of 2 workers forwarded packets; 2 run and took/);
    expect(await faultWith(8)).toBeUndefined();
  });

  test('the command measures a case, and writes JSON', async () => {
    await using stage = await Stage.create({ mtu: 1_500, outputs: 1, family: 4 });
    const file = join(stage.lab.directory, 'figures.json');
    const only = 'idle';
    const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, '--quick', '--only', only, '--json', file], {
      encoding: 'utf8',
    });
    expect(stderr).toContain('bench: idle, mcfleet');
    expect(status).toBe(0);
    const report = JSON.parse(readFileSync(file, 'utf8')) as BenchReport;
    expect(report).toMatchObject({ schema: 'mcfleet-bench/1', machine: { realtime: false } });
    const results = report.cases.flatMap((one) => one.results);
    expect(results.map(({ kind }) => kind).toSorted()).toEqual(['upkeep']);
    const idle = results.find((result) => result.kind === 'upkeep');
    expect(idle?.resident_bytes).toBeGreaterThan(idle?.ring_bytes ?? 0);
    expect(idle?.ring_bytes).toBeGreaterThan(1_000_000);
    expect(idle?.cpu_share).toBeLessThan(0.05);
    const verdictOf = (id: string) => report.must_hold.find((one) => one.id === id)?.verdict;
    expect(verdictOf('memory')).toBe('HOLDS');
    expect(verdictOf('1to1-rate')).toBe('NOT MEASURED');
    expect(stdout).toContain('#### Must hold');
  });

  test('the command names what it does not measure, with the reason', () => {
    const options = ['--quick', '--only', '1to32', '--relays', 'kernel-mfc'];
    const { status, stdout } = spawnSync(process.execPath, [MAIN, ...options], { encoding: 'utf8' });
    expect(status).toBe(0);
    // 33 interfaces.
    expect(stdout).toContain('- 1to32 (1 -> 32, 1316 B), kernel-mfc: not available: the kernel has 32');
  });
});
