import { type Condition, ConditionStatus } from '@mcfleet/proto/mcfleet/v1/common';
import type { Relay } from '@mcfleet/proto/mcfleet/v1/relay';
import type { Cli } from '../cli.ts';
import { type Awaited, awaitRelays } from '../client/await-relays.ts';
import type { Connection } from '../client/connection.ts';
import { CommandFailure } from '../exit.ts';
import { bare } from '../render/names.ts';
import { manyObjects } from './apply-request.ts';

/** How often a long wait tells how far it has come, in milliseconds. */
const progressMs = 2000;

/** Relays that are told one by one after a wait in vain, at most. */
const maxShown = 100;

/** True if the condition is `status` for the relay's present generation, so that an old "Ready" is not taken for a new one. */
export function conditionHolds(relay: Relay, type: string, status: ConditionStatus = ConditionStatus.TRUE): boolean {
  return (relay.status?.conditions ?? []).some(
    (condition) =>
      condition.type.toLowerCase() === type.toLowerCase() &&
      condition.status === status &&
      condition.observedGeneration >= relay.generation,
  );
}

/** What is waited for. */
interface AwaitOptions {
  readonly timeoutMs: number;
  /** Ends "relay camera-7 …". */
  readonly what: string;
  /** The type of condition that it depends on; all of them if none is given. */
  readonly condition?: string | undefined;
}

/** Waits, and says what each relay still lacks when the time is up. */
export async function awaitOrFail(
  cli: Cli,
  connection: Connection,
  awaited: readonly Awaited[],
  { timeoutMs, what, condition }: AwaitOptions,
): Promise<void> {
  let reached = 0;
  const progress =
    awaited.length < manyObjects
      ? undefined
      : setInterval(() => cli.say(`${reached} of ${awaited.length} relays are ${what}`), progressMs);
  const left = await awaitRelays(connection, awaited, {
    timeoutMs,
    onReached: (name) => {
      reached += 1;
      cli.print(`relay ${bare(name)} ${what}\n`);
    },
    onBreak: (error) => cli.say(`${error.message}; connecting again`),
  }).finally(() => clearInterval(progress));
  if (left.size === 0) return;
  const shown = [...left].slice(0, maxShown);
  if (left.size > shown.length) cli.say(`${left.size} of ${awaited.length} relays are not ${what}, among them:`);
  const lines = shown.map(([name, relay]) => `relay ${bare(name)} is not ${what}: ${lacking(relay, condition)}`);
  throw new CommandFailure(
    [...lines, `error: gave up after ${timeoutMs / 1000} s; a longer wait: --timeout`].join('\n'),
  );
}

function lacking(relay: Relay | undefined, condition: string | undefined): string {
  if (relay === undefined) return 'there is no such relay';
  const conditions = relay.status?.conditions ?? [];
  const said = condition === undefined ? failing(conditions) : [stateOf(condition, conditions)];
  const stale = relay.status === undefined || relay.status.observedGeneration < relay.generation;
  if (stale) said.push(`generation ${relay.generation} is not on every host yet`);
  return said.length === 0 ? 'see mcfleet describe relay' : said.join('; ');
}

function failing(conditions: readonly Condition[]): string[] {
  const unmet = conditions.filter(({ status }) => status !== ConditionStatus.TRUE);
  return unmet.map(({ type, reason, message }) => `${type}: ${message || reason || 'no'}`);
}

/** What is known of the one condition that is waited for. */
function stateOf(wanted: string, conditions: readonly Condition[]): string {
  const found = conditions.find(({ type }) => type.toLowerCase() === wanted.toLowerCase());
  if (found === undefined) {
    const types = conditions.map(({ type }) => type).join(', ');
    return `it has no condition ${wanted}${types === '' ? '' : `, only ${types}`}`;
  }
  const { type, status, reason, message } = found;
  const why = message || reason;
  const word = status === ConditionStatus.TRUE ? 'true' : status === ConditionStatus.FALSE ? 'false' : 'unknown';
  return `${type} is ${word}${why === '' ? '' : `: ${why}`}`;
}
