import { expect, test } from 'vitest';
import { BenchRun } from '../bench/bench-run.ts';
import { benchCases } from '../bench/cases.ts';
import { quickEffort } from '../bench/effort.ts';
import type { Engine } from '../bench/engine.ts';
import { mcfleet } from '../bench/engines/mcfleet.ts';
import { socat } from '../bench/engines/socat.ts';
import { measureLatency } from '../bench/latency.ts';
import { judge } from '../bench/must-hold/requirements.ts';
import { describeWithLab } from '../lab/when-possible.ts';

/** Beside mcfleet, socat sends the same copies; not of short packets, by which a relay is known to work. */
const twice: Engine = {
  ...mcfleet,
  start: async (stage, plan) => {
    const relay = await mcfleet.start(stage, plan);
    const nft = (...argv: string[]) => stage.lab.run('relay', ['nft', 'add', ...argv]);
    await nft('table', 'inet', 'short');
    await nft('chain', 'inet', 'short', 'in', '{ type filter hook input priority 0; }');
    await nft('rule', 'inet', 'short', 'in', 'udp', 'length', '<', '1000', 'drop');
    const second = await socat(true).start(stage, plan);
    return {
      ...relay,
      [Symbol.asyncDispose]: async () => {
        await second[Symbol.asyncDispose]();
        await relay[Symbol.asyncDispose]();
      },
    };
  },
};

describeWithLab('latency in the bench', () => {
  test.each([
    ['that come once', mcfleet, 0],
    ['that come twice', twice, 4_000],
  ] as const)('of packets %s', async (_, engine, duplicates) => {
    const found = benchCases.find(({ id }) => id === 'latency-10k');
    if (found?.kind !== 'latency') throw new Error('there is no case latency-10k');
    const effort = { ...quickEffort, latencyRuns: 1, repeats: 0 };
    await using run = new BenchRun({ effort, realtime: false, verbose: false });
    const result = await measureLatency(run, found, engine);
    expect(result).toMatchObject({ sent: 4_000, lost: 0, duplicates, reordered: 0, corrupt: 0 });
    const line = judge([{ id: found.id, title: '', results: [result] }]).find(({ id }) => id === 'latency-10k-p99');
    // Without duplicates it is socat's that is missing.
    const why = duplicates > 0 ? 'mcfleet at 10,000 pps: 4000 duplicates of 4000' : 'the case latency-10k has no socat';
    expect(line).toMatchObject({ verdict: 'NOT MEASURED', why });
  });
});
