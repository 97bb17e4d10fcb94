import {
  ApplyAction,
  ApplyRelaysResponse,
  type ApplyResult,
  type FieldDiff,
} from '@mcfleet/proto/mcfleet/v1/relay_service';
import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { documentPath } from '../document/field-paths.ts';
import { joinPath, splitPath } from '../document/position-tree.ts';
import { relayToDocument, toYaml } from '../document/write.ts';
import { bare } from '../render/names.ts';
import type { Paint } from '../render/paint.ts';
import { protoJson } from '../render/proto-json.ts';
import { printable } from '../text/printable.ts';
import { applyDocuments, type DocumentOptions, differencesFound } from './apply-request.ts';
import { examples, fileOption, type OutputFormat, outputOption, selectorOption } from './global-options.ts';

interface DiffOptions extends DocumentOptions {
  readonly output: OutputFormat;
}

export function addDiffCommand(program: Command, cli: Cli): void {
  const command = program
    .command('diff')
    .summary('show what apply would change')
    .description(
      'Shows, field by field, what apply would change, and changes nothing.\nExit code: 0 no difference, 2 differences, 1 or 64 and more as everywhere.',
    )
    .addOption(fileOption())
    .option('--prune', 'also show which relays apply --prune would delete')
    .addOption(selectorOption('labels for --prune, as in role=edge,site=studio-2'))
    .addOption(outputOption(['table', 'json']))
    .action(async (options: DiffOptions, self: Command) => {
      const response = await applyDocuments(cli, () => cli.connection(self), options, true);
      if (options.output === 'json') cli.printJson(ApplyRelaysResponse.$type, response);
      else for (const result of response.results) cli.print(resultText(result, cli.paint));
      if (response.results.some(({ action }) => action !== ApplyAction.UNCHANGED)) throw differencesFound;
    });
  examples(command, [
    ['mcfleet diff -f relays.yaml', 'exit code 2 if the file and the fleet differ'],
    ['mcfleet diff -f relays/ --prune -l site=studio-2', 'with what would be deleted'],
  ]);
}

/** One relay's difference; nothing if there is none. */
export function resultText(result: ApplyResult, paint: Paint): string {
  const name = bare(result.name);
  switch (result.action) {
    case ApplyAction.UNCHANGED:
      return '';
    case ApplyAction.CREATED: {
      const document =
        result.relay === undefined
          ? ''
          : toYaml({ ...(relayToDocument(result.relay, protoJson) as object), status: undefined });
      const lines = document
        .trimEnd()
        .split('\n')
        .map((line) => `${paint(`+ ${line}`, 'good')}\n`);
      return `relay ${name} would be created\n${lines.join('')}`;
    }
    case ApplyAction.PRUNED:
      return `${paint(`relay ${name} would be deleted`, 'bad')}\n`;
    case ApplyAction.UPDATED:
      return `relay ${name} would be updated\n${result.diffs.map((diff) => `  ${diffText(diff, paint)}\n`).join('')}`;
    default:
      return `${paint(`relay ${name} would be refused: ${printable(result.error?.message ?? '')}`, 'bad')}\n`;
  }
}

function diffText({ path, oldJson, newJson }: FieldDiff, paint: Paint): string {
  const shown = (json: string): string =>
    json === '' ? 'not set' : printable(json.replace(/^"RELAY_ENGINE_(\w+)"$/, '$1'));
  const field = joinPath(documentPath(splitPath(path)));
  return `${field}: ${paint(shown(oldJson), 'bad')} -> ${paint(shown(newJson), 'good')}`;
}
