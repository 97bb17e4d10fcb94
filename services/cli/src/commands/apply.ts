import { ApplyAction, ApplyRelaysResponse, type ApplyResult } from '@mcfleet/proto/mcfleet/v1/relay_service';
import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { CommandFailure, UsageError } from '../exit.ts';
import { bare } from '../render/names.ts';
import { applyDocuments, type DocumentOptions } from './apply-request.ts';
import { awaitOrFail, conditionHolds } from './await-ready.ts';
import { examples, fileOption, type OutputFormat, outputOption, selectorOption } from './global-options.ts';

interface ApplyOptions extends DocumentOptions {
  readonly dryRun?: boolean;
  readonly wait?: boolean;
  readonly output: OutputFormat;
}

const verbs: Readonly<Record<number, string>> = {
  [ApplyAction.CREATED]: 'created',
  [ApplyAction.UPDATED]: 'updated',
  [ApplyAction.UNCHANGED]: 'unchanged',
  [ApplyAction.PRUNED]: 'deleted',
};

/** Milliseconds that --wait waits if --timeout says nothing else. */
export const defaultWaitMs = 30_000;

export function addApplyCommand(program: Command, cli: Cli): void {
  const command = program
    .command('apply')
    .summary('make the stored relays equal to documents')
    .description(
      'Makes the stored relays equal to the documents given. All or nothing: one bad document keeps every other from being\nstored, and every violation is shown with file, line and column. What get -o yaml\nor get -o json prints can be applied; what only the controller writes is ignored.',
    )
    .addOption(fileOption())
    .option('--dry-run', 'let the controller check everything and say what would change; store nothing')
    .option('--prune', 'delete relays that carry the labels of -l and that no document names')
    .addOption(selectorOption('labels for --prune, as in role=edge,site=studio-2'))
    .option('--wait', 'wait until every applied relay is ready on all its hosts (--timeout, default 30s)')
    .addOption(outputOption(['table', 'json', 'name']))
    .action((options: ApplyOptions, self: Command) => apply(cli, options, self));
  examples(command, [
    ['mcfleet apply -f relays.yaml', 'store what the file says'],
    ['mcfleet apply -f relays.yaml --wait --timeout 1m', 'and wait until it forwards'],
    ['mcfleet apply -f relays/ --prune -l site=studio-2', 'a directory is all there is for studio-2'],
    ['mcfleet get relays -o yaml | mcfleet apply -f - --dry-run', 'what get prints can be applied'],
  ]);
}

async function apply(cli: Cli, options: ApplyOptions, command: Command): Promise<void> {
  if (options.dryRun && options.wait) throw new UsageError('--wait has nothing to wait for with --dry-run');
  const response = await applyDocuments(cli, () => cli.connection(command), options, options.dryRun === true);
  if (options.output === 'json') cli.printJson(ApplyRelaysResponse.$type, response);
  for (const result of response.results) if (options.output !== 'json') cli.print(resultLine(result, options));
  const failed = response.results.filter(({ action }) => action === ApplyAction.FAILED);
  if (failed.length > 0)
    throw new CommandFailure(failed.map((one) => `${bare(one.name)}: ${one.error?.message}`).join('\n'));
  if (!options.wait) return;
  const awaited = response.results.flatMap(({ name, relay, action }) => {
    if (relay === undefined || action === ApplyAction.PRUNED) return [];
    const { generation, uid } = relay;
    return {
      name,
      isReached: (now: typeof relay | undefined) =>
        now !== undefined && now.uid === uid && now.generation >= generation && conditionHolds(now, 'Ready'),
    };
  });
  const timeoutMs = cli.timeoutMs(command, defaultWaitMs) + cli.patienceMs(command, awaited.length);
  await awaitOrFail(cli, cli.connection(command), awaited, { timeoutMs, what: 'ready' });
}

function resultLine({ name, action }: ApplyResult, { dryRun, output }: ApplyOptions): string {
  if (output === 'name') return `${bare(name)}\n`;
  return `relay ${bare(name)} ${verbs[action] ?? 'refused'}${dryRun ? ' (dry run)' : ''}\n`;
}
