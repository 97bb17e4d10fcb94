import { ConditionStatus } from '@mcfleet/proto/mcfleet/v1/common';
import type { Relay } from '@mcfleet/proto/mcfleet/v1/relay';
import type { Cli } from '../cli.ts';
import { type Awaited, awaitRelays } from '../client/await-relays.ts';
import type { Connection } from '../client/connection.ts';
import { CommandFailure } from '../exit.ts';
import { bare } from '../render/names.ts';

/** True if the condition is `status` for the relay's present generation, so that an old "Ready" is not taken for a new one. */
export function conditionHolds(relay: Relay, type: string, status: ConditionStatus = ConditionStatus.TRUE): boolean {
  return (relay.status?.conditions ?? []).some(
    (condition) =>
      condition.type.toLowerCase() === type.toLowerCase() &&
      condition.status === status &&
      condition.observedGeneration >= relay.generation,
  );
}

/** Waits, and says what each relay still lacks when the time is up. */
export async function awaitOrFail(
  cli: Cli,
  connection: Connection,
  awaited: readonly Awaited[],
  { timeoutMs, what }: { readonly timeoutMs: number; readonly what: string },
): Promise<void> {
  const left = await awaitRelays(connection, awaited, {
    timeoutMs,
    onReached: (name) => cli.print(`relay ${bare(name)} ${what}\n`),
    onBreak: (error) => cli.say(`${error.message}; connecting again`),
  });
  if (left.size === 0) return;
  const lines = [...left].map(([name, relay]) => `relay ${bare(name)} is not ${what}: ${lacking(relay)}`);
  throw new CommandFailure(
    [...lines, `error: gave up after ${timeoutMs / 1000} s; a longer wait: --timeout`].join('\n'),
  );
}

function lacking(relay: Relay | undefined): string {
  if (relay === undefined) return 'there is no such relay';
  const failing = (relay.status?.conditions ?? []).filter(({ status }) => status !== ConditionStatus.TRUE);
  const said = failing.map(({ type, reason, message }) => `${type}: ${message || reason || 'no'}`);
  const stale = relay.status === undefined || relay.status.observedGeneration < relay.generation;
  if (stale) said.push(`generation ${relay.generation} is not on every host yet`);
  return said.length === 0 ? 'see mcfleet describe relay' : said.join('; ');
}
