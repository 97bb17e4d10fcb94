import type { RelayPlan } from '../engine.ts';
import { SINK_INTERFACE, type Stage } from '../stage.ts';

const TABLE = ['table', 'inet', 'mcfleet_bench'];

/**
 * What a plan wants of the relay's host, whoever relays: that it knows the neighbours to which copies go, so that none waits for an
 * answer, and has rules of its own.
 *
 * @returns to be disposed of when the relay has ended.
 */
export async function prepareHost(stage: Stage, plan: RelayPlan): Promise<AsyncDisposable> {
  for (const address of receivers(plan)) await resolve(stage, address);
  if (!plan.hostRules) return { [Symbol.asyncDispose]: async () => {} };
  const nft = async (...argv: string[]): Promise<void> => {
    await stage.lab.run('relay', ['nft', ...argv]);
  };
  const passing = ['add', 'chain', ...TABLE.slice(1), 'out', '{ type filter hook output priority 0; policy accept; }'];
  await nft('add', ...TABLE);
  const stop = async (): Promise<void> => await nft('delete', ...TABLE);
  try {
    await nft(...passing);
    await nft('add', 'rule', ...TABLE.slice(1), 'out', 'udp', 'dport', '53', 'drop');
  } catch (error) {
    await stop();
    throw error;
  }
  return { [Symbol.asyncDispose]: stop };
}

/** Those that are no groups. */
function receivers({ streams }: RelayPlan): ReadonlySet<string> {
  const addresses = streams.flatMap(({ outputs }) => outputs.map(({ group }) => group));
  return new Set(addresses.filter((address) => !/^(2[234]\d\.|ff)/.test(address)));
}

async function resolve(stage: Stage, address: string): Promise<void> {
  const { stdout } = await stage.lab.run('sink', ['ip', '-json', 'link', 'show', 'dev', SINK_INTERFACE]);
  const [sink] = JSON.parse(stdout) as { address: string }[];
  const [output] = stage.outputInterfaces;
  if (sink === undefined || output === undefined) throw new Error('a stage has a cable to the sink');
  await stage.lab.ip('relay', `neighbour replace ${address} lladdr ${sink.address} dev ${output}`);
}
