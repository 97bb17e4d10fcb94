import { status } from '@grpc/grpc-js';
import { FleetError } from '@mcfleet/common/error';
import { relayName } from '@mcfleet/common/names';
import { ConditionStatus } from '@mcfleet/proto/mcfleet/v1/common';
import type { Relay } from '@mcfleet/proto/mcfleet/v1/relay';
import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { readRelay } from '../client/await-relays.ts';
import { UsageError } from '../exit.ts';
import { defaultWaitMs } from './apply.ts';
import { awaitOrFail, conditionHolds } from './await-ready.ts';
import { examples } from './global-options.ts';
import { type Kind, kindArgument } from './kinds.ts';
import { relayArgument } from './names.ts';

export function addWaitCommand(program: Command, cli: Cli): void {
  const command = program
    .command('wait')
    .summary('wait until a relay is ready, or deleted')
    .description(
      'Waits until relays are as --for says, at most --timeout (default 30s); exit code 1 if they are not by then.\nA condition counts only if it is about the relay as it is now, never about what it was before a change.',
    )
    .addArgument(kindArgument(['relays'], ['relay']))
    .argument('<names...>', 'the relays')
    .requiredOption('--for <what>', 'ready, delete, or condition=TYPE[=true|false|unknown]')
    .action((_kind: Kind, names: string[], options: { readonly for: string }, self: Command) =>
      waitFor(cli, names, options.for, self),
    );
  examples(command, [
    ['mcfleet wait relay camera-7 --for=ready --timeout 10s', 'until every host forwards it'],
    ['mcfleet wait relay camera-7 --for=delete', 'until it is gone'],
    ['mcfleet wait relay camera-7 --for=condition=Programmed', 'until a condition holds'],
  ]);
}

interface Goal {
  /** Ends "relay camera-7 …". */
  readonly what: string;
  readonly deleted: boolean;
  /** The type of condition that --for names. */
  readonly condition?: string;
  isReached(relay: Relay): boolean;
}

/** @throws UsageError */
export function parseGoal(text: string): Goal {
  if (text === 'delete') return { what: 'deleted', deleted: true, isReached: () => false };
  if (text === 'ready') return { what: 'ready', deleted: false, isReached: (relay) => conditionHolds(relay, 'Ready') };
  const match = /^condition=([A-Za-z]+)(?:=(true|false|unknown))?$/i.exec(text);
  if (match === null) {
    throw new UsageError(`--for "${text}" is not known: ready, delete, or condition=TYPE[=true|false|unknown]`);
  }
  const [, type = '', value = 'true'] = match;
  const wanted = ConditionStatus[value.toUpperCase() as 'TRUE' | 'FALSE' | 'UNKNOWN'];
  return {
    what: `${type}=${value.toLowerCase()}`,
    condition: type,
    deleted: false,
    isReached: (relay) => conditionHolds(relay, type, wanted),
  };
}

async function waitFor(cli: Cli, names: readonly string[], text: string, command: Command): Promise<void> {
  const goal = parseGoal(text);
  const timeoutMs = cli.timeoutMs(command, defaultWaitMs);
  const connection = cli.connection(command);
  const awaited = [];
  for (const name of new Set(names.map((one) => relayName(relayArgument(one))))) {
    const now = await readRelay(connection, name);
    if (now === undefined && !goal.deleted) {
      throw new FleetError({
        code: status.NOT_FOUND,
        reason: 'RELAY_NOT_FOUND',
        message: `there is no relay ${name.slice(7)}`,
      });
    }
    awaited.push({
      name,
      // One that is deleted and made anew under its name has another uid.
      isReached: (relay: Relay | undefined) =>
        goal.deleted ? relay?.uid !== now?.uid || relay === undefined : relay !== undefined && goal.isReached(relay),
    });
  }
  await awaitOrFail(cli, connection, awaited, { timeoutMs, what: goal.what, condition: goal.condition });
}
