import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../../fleet/until.ts';
import { endsOf } from '../ends.ts';
import type { Engine, RelayPlan, RunningRelay } from '../engine.ts';
import { INPUT_INTERFACE, RELAY_CPU, type Stage } from '../stage.ts';

const SOURCE = '10.0.0.1';
/** MAXVIFS of linux/mroute.h; one is the input. */
const MOST_OUTPUTS = 31;

/** The kernel's multicast forwarding cache, set up by smcrouted. It keeps group and port, so every copy needs an interface of its own. */
export const kernelMfc: Engine = {
  name: 'kernel-mfc',
  outputsFor: copies,
  async obstacle(plan) {
    if (copies(plan) > MOST_OUTPUTS)
      return `the kernel has 32 multicast interfaces; ${copies(plan)} copies and the input need more`;
    if (plan.idleRelays > 0)
      return 'a route per group needs no comparison here: the kernel looks it up in a hash table';
    return undefined;
  },
  start,
};

function copies(plan: RelayPlan): number {
  return Math.max(...plan.streams.map(({ outputs }) => outputs.length));
}

async function start(stage: Stage, plan: RelayPlan): Promise<RunningRelay> {
  const outputs = stage.outputInterfaces.slice(0, copies(plan));
  const lines = [INPUT_INTERFACE, ...outputs].map((name) => `phyint ${name} enable`);
  for (const { input } of plan.streams) {
    lines.push(`mgroup from ${INPUT_INTERFACE} group ${input.group}`);
    lines.push(`mroute from ${INPUT_INTERFACE} source ${SOURCE} group ${input.group} to ${outputs.join(' ')}`);
  }
  const file = (suffix: string): string => join(stage.lab.directory, `smcroute.${suffix}`);
  writeFileSync(file('conf'), `${lines.join('\n')}\n`);
  const argv = ['smcrouted', '-n', '-N', '-f', file('conf'), '-P', file('pid'), '-u', file('sock')];
  const started = stage.lab.start('relay', argv, { cpu: RELAY_CPU });
  const stop = async (): Promise<void> => {
    await started.stop(1_000);
  };
  try {
    await until('the kernel has the multicast routes', async () => {
      if (!started.running) throw new Error(`smcrouted has ended: ${started.stderr}`);
      const { stdout } = await stage.lab.run('relay', ['cat', '/proc/net/ip_mr_cache']);
      return stdout.trimEnd().split('\n').length - 1 >= plan.streams.length;
    });
  } catch (error) {
    // Who owns the routing table stands in the way of what is measured next.
    await stop();
    throw error;
  }
  return {
    pids: [],
    ends: endsOf(plan, (copy, _, input) => ({ interface: stage.sinkInterface(copy), ...input })),
    note: `smcrouted; ${outputs.length} output interface${outputs.length === 1 ? '' : 's'}; forwards on the sender's core`,
    ringBytes: 0,
    applyMs: null,
    change: null,
    [Symbol.asyncDispose]: stop,
  };
}
