import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { checkContent } from '../bench/content-check.ts';
import { mcfleet } from '../bench/engines/mcfleet.ts';
import { socat } from '../bench/engines/socat.ts';
import { ForeignLoad } from '../bench/foreign-load.ts';
import type { BenchReport } from '../bench/results.ts';
import { Stage } from '../bench/stage.ts';
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
