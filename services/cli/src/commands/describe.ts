import { callUnary } from '@mcfleet/common/grpc/client';
import { hostName, relayName } from '@mcfleet/common/names';
import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { listInstances } from '../client/list-all.ts';
import { describeHost } from '../render/describe-host.ts';
import { describeRelay } from '../render/describe-relay.ts';
import { examples } from './global-options.ts';
import { type Kind, kindArgument } from './kinds.ts';
import { hostArgument, relayArgument } from './names.ts';

export function addDescribeCommand(program: Command, cli: Cli): void {
  const command = program
    .command('describe')
    .summary('explain one relay or host')
    .description(
      'Says everything about a relay (what is wanted, what each host makes of it, counters, drops, and what to do) or about a\nhost (its session, interfaces, and relays).',
    )
    .addArgument(kindArgument(['relays', 'hosts'], ['relay', 'host']))
    .argument('<name>', 'its name')
    .action(async (kind: Kind, name: string, _options: object, self: Command) => {
      cli.print(kind === 'relays' ? await relayText(cli, self, name) : await hostText(cli, self, name));
    });
  examples(command, [
    ['mcfleet describe relay camera-7', 'is it ready, what does it carry, and if not, why'],
    ['mcfleet describe host edge-1', 'its interfaces and relays'],
  ]);
}

async function relayText(cli: Cli, command: Command, argument: string): Promise<string> {
  const name = relayName(relayArgument(argument));
  const connection = cli.connection(command);
  const relay = await connection.call((call) => callUnary(connection.relays, 'getRelay', { name }, call));
  const { relayInstances } = await listInstances(connection, name);
  return describeRelay(relay, relayInstances, cli.process.now());
}

async function hostText(cli: Cli, command: Command, argument: string): Promise<string> {
  const name = hostName(hostArgument(argument));
  const connection = cli.connection(command);
  const host = await connection.call((call) => callUnary(connection.fleet, 'getHost', { name }, call));
  const { relayInstances } = await listInstances(connection, name);
  return describeHost(host, relayInstances, cli.process.now());
}
