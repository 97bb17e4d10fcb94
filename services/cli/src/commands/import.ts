import { hostname } from 'node:os';
import { HOST_ID_PATTERN } from '@mcfleet/common/names';
import { type Command, InvalidArgumentError } from 'commander';
import type { Cli } from '../cli.ts';
import { CommandFailure, UsageError } from '../exit.ts';
import { RefusedConf } from '../smcroute/conf.ts';
import { confFiles } from '../smcroute/files.ts';
import { type Imported, importSmcroute } from '../smcroute/import.ts';
import { isInterfaceName } from '../smcroute/statement.ts';
import { examples } from './global-options.ts';
import { addGroup } from './group.ts';
import { hostArgument } from './names.ts';

interface SmcrouteOptions {
  readonly host?: readonly string[];
  readonly interfaces?: readonly string[];
  readonly vifs: boolean;
  readonly expand: number;
  readonly namePrefix?: string;
}

/** `mcfleet import smcroute`. It needs no controller. */
export function addImportCommand(program: Command, cli: Cli): void {
  const group = addGroup(program, 'import')
    .summary('print relay documents made from the configuration of another program')
    .description('Prints relay documents made from the configuration of another program.');
  const smcroute = group
    .command('smcroute')
    .summary('from an smcroute.conf')
    .description(
      'Prints relay documents that forward what smcroute does with a configuration, as version 2.5 understands it. Each line is told in a comment: what became of it, and why where it has no equivalent.',
    )
    .argument('<file>', 'smcroute.conf, or - for standard input')
    .option('--host <host...>', 'where the relays shall run (default: the name of this machine)')
    .option(
      '--interfaces <names>',
      'interfaces of the host that eth+ and the like may mean, with commas, in the order of their numbers (default: those that the file names)',
      parseInterfaces,
    )
    .option('-N, --no-vifs', 'as smcrouted -N: only interfaces that phyint lines enable are used')
    .option(
      '--expand <count>',
      'relays that one line becomes at most, 1 to 10000: a relay has one group, and at most 64 sources',
      parseCount,
      256,
    )
    .option('--name-prefix <prefix>', 'what names of relays begin with (default: the first host)')
    .action((file: string, options: SmcrouteOptions) => printRelays(cli, file, options));
  const lines = [
    ['mcfleet import smcroute smcroute.conf > imported.yaml', 'for this machine'],
    ['mcfleet import smcroute smcroute.conf --host edge-1 | mcfleet apply --dry-run -f -', 'would it be accepted?'],
  ] as const;
  examples(smcroute, lines);
  examples(group, lines.slice(0, 1));
}

function printRelays(cli: Cli, file: string, options: SmcrouteOptions): void {
  const hosts = (options.host ?? [ownName()]).flatMap((names) => names.split(',')).map(hostArgument);
  let imported: Imported;
  try {
    imported = importSmcroute(file, confFiles, {
      hosts,
      prefix: options.namePrefix ?? hosts[0] ?? '',
      interfaces: options.interfaces,
      onlyEnabled: !options.vifs,
      expand: options.expand,
    });
  } catch (thrown) {
    if (!(thrown instanceof RefusedConf)) throw thrown;
    throw new CommandFailure(thrown.message.replaceAll(/^/gm, 'error: '));
  }
  cli.print(imported.documents);
  cli.say(`${imported.relays} relays from ${imported.lines} lines; the comments tell what has no equivalent`);
}

/** @throws UsageError if the machine's name cannot be that of a host */
function ownName(): string {
  const [name = ''] = hostname().toLowerCase().split('.');
  if (!HOST_ID_PATTERN.test(name)) throw new UsageError('the name of this machine is not that of a host: give --host');
  return name;
}

function parseInterfaces(value: string): string[] {
  const names = value.split(',');
  const wrong = names.find((name) => !isInterfaceName(name));
  if (wrong !== undefined) throw new InvalidArgumentError('Interface names with commas between them, as in eth0,eth1.');
  return names;
}

function parseCount(value: string): number {
  const count = Number(value);
  if (!/^\d+$/.test(value) || count < 1 || count > 10_000) throw new InvalidArgumentError('A number from 1 to 10000.');
  return count;
}
