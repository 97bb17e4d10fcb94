import { FleetError } from '@mcfleet/common/error';
import { callUnary } from '@mcfleet/common/grpc/client';
import { relayName } from '@mcfleet/common/names';
import { uuidv7 } from '@mcfleet/common/uuid';
import { DeleteRelayRequest } from '@mcfleet/proto/mcfleet/v1/relay_service';
import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import type { Connection } from '../client/connection.ts';
import { loadRelays } from '../document/load.ts';
import { formatViolation } from '../document/position.ts';
import { CommandFailure, UsageError } from '../exit.ts';
import { failureExitCode, failureText } from '../render/failure.ts';
import { fileNames } from './apply-request.ts';
import { examples, fileOption } from './global-options.ts';
import { type Kind, kindArgument } from './kinds.ts';
import { relayArgument } from './names.ts';

/** Calls at a time: the controller writes those that come together to disk together. */
const atOnce = 16;

interface DeleteOptions {
  readonly filename?: readonly string[];
  readonly dryRun?: boolean;
  readonly ignoreNotFound?: boolean;
}

export function addDeleteCommand(program: Command, cli: Cli): void {
  const kind = kindArgument(['relays'], ['relay']).argOptional();
  const command = program
    .command('delete')
    .summary('delete relays')
    .description('Deletes relays by name, or those that documents name; hosts stop forwarding them.')
    .addArgument(kind)
    .argument('[names...]', 'the relays')
    .addOption(fileOption())
    .option('--dry-run', 'let the controller check the calls; delete nothing')
    .option('--ignore-not-found', 'a relay that is not there is no error')
    .action((_kind: Kind | undefined, names: string[], options: DeleteOptions, self: Command) =>
      deleteRelays(cli, names, options, self),
    );
  examples(command, [
    ['mcfleet delete relay camera-7 camera-8', 'two relays'],
    ['mcfleet delete -f relays.yaml', 'those that the file names'],
  ]);
}

async function deleteRelays(
  cli: Cli,
  names: readonly string[],
  options: DeleteOptions,
  command: Command,
): Promise<void> {
  if (names.length === 0 && options.filename === undefined) {
    throw new UsageError('say which: mcfleet delete relay NAME..., or mcfleet delete -f FILE');
  }
  if (names.length > 0 && options.filename !== undefined) throw new UsageError('give names or -f FILE, not both');
  const targets = names.length > 0 ? names.map(relayArgument) : namesInDocuments(cli, options);
  const connection = cli.connection(command);
  let firstFailure: FleetError | undefined;
  for (let done = 0; done < targets.length; done += atOnce) {
    const ids = targets.slice(done, done + atOnce);
    const failures = await Promise.all(ids.map((id) => deleteRelay(connection, id, options)));
    for (const [index, failure] of failures.entries()) {
      if (failure === undefined) cli.print(`relay ${ids[index]} deleted${options.dryRun ? ' (dry run)' : ''}\n`);
      else if (options.ignoreNotFound && failure.reason === 'RELAY_NOT_FOUND')
        cli.say(`relay ${ids[index]} is not there`);
      else if (firstFailure?.reason !== 'CONTROLLER_UNREACHABLE') {
        firstFailure ??= failure;
        cli.say(failureText(failure));
      }
    }
    // Without a controller the others cannot be deleted either.
    if (firstFailure?.reason === 'CONTROLLER_UNREACHABLE') break;
  }
  if (firstFailure !== undefined) throw new CommandFailure('', failureExitCode(firstFailure));
}

async function deleteRelay(
  connection: Connection,
  id: string,
  { dryRun = false }: DeleteOptions,
): Promise<FleetError | undefined> {
  const request = DeleteRelayRequest.fromPartial({
    name: relayName(id),
    validateOnly: dryRun,
    requestId: dryRun ? '' : uuidv7(),
  });
  try {
    await connection.call((call) => callUnary(connection.relays, 'deleteRelay', request, call));
    return undefined;
  } catch (thrown) {
    return FleetError.from(thrown);
  }
}

function namesInDocuments(cli: Cli, options: DeleteOptions): string[] {
  const { relays, violations } = loadRelays(fileNames(options));
  for (const violation of violations) cli.say(formatViolation(violation));
  if (violations.length > 0) throw new CommandFailure('error: the documents are not valid; nothing was deleted');
  return relays.map(({ relay }) => relayArgument(relay.name));
}
