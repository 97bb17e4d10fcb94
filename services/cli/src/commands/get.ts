import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { listHostsCommand } from './get-hosts.ts';
import { listInstancesCommand } from './get-instances.ts';
import { listRelaysCommand } from './get-relays.ts';
import { examples, type OutputFormat, outputOption, selectorOption } from './global-options.ts';
import { type Kind, kindArgument } from './kinds.ts';
import { refusePlannedKind } from './planned.ts';

/** What `get` was asked for. */
export interface GetRequest {
  readonly cli: Cli;
  readonly command: Command;
  readonly name: string | undefined;
  readonly selector: string | undefined;
  readonly watch: boolean;
  readonly output: OutputFormat;
}

interface GetOptions {
  readonly selector?: string;
  readonly watch?: boolean;
  readonly output: OutputFormat;
}

const byKind: Readonly<Record<Kind, (request: GetRequest) => Promise<void>>> = {
  relays: listRelaysCommand,
  hosts: listHostsCommand,
  instances: listInstancesCommand,
};

export function addGetCommand(program: Command, cli: Cli): void {
  const command = program
    .command('get')
    .summary('list relays, hosts or instances')
    .description(
      'Lists relays (what is wanted), hosts, or instances (what each host makes of each relay); with NAME only that one.\nNAME of instances is a relay, or HOST/RELAY.',
    )
    .addArgument(kindArgument(['relays', 'hosts', 'instances'], ['relays', 'hosts', 'instances'], refusePlannedKind))
    .argument('[name]', 'only this one')
    .addOption(
      selectorOption('only those with these labels, as in role=edge,site=studio-2 (instances: of their relay)'),
    )
    .option('-w, --watch', 'then go on with every change; ends after --timeout, if that is given')
    .addOption(outputOption(['table', 'wide', 'json', 'yaml', 'name']))
    .action((kind: Kind, name: string | undefined, { selector, watch, output }: GetOptions, self: Command) =>
      byKind[kind]({ cli, command: self, name, selector, watch: watch === true, output }),
    );
  examples(command, [
    ['mcfleet get relays', 'a table of all relays'],
    ['mcfleet get relays camera-7 -o yaml', 'one, in the form that apply takes'],
    ['mcfleet get hosts -l role=edge -o wide', 'hosts by label, with more columns'],
    ['mcfleet get instances camera-7 -w', 'what each host makes of it, as it changes'],
    ['mcfleet get relays -o json', 'canonical ProtoJSON, as grpcurl prints it'],
  ]);
}
