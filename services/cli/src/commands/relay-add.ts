import { FleetError } from '@mcfleet/common/error';
import { callUnary } from '@mcfleet/common/grpc/client';
import { relayName } from '@mcfleet/common/names';
import { uuidv7 } from '@mcfleet/common/uuid';
import { CreateRelayRequest } from '@mcfleet/proto/mcfleet/v1/relay_service';
import { type Command, Option } from 'commander';
import type { Cli } from '../cli.ts';
import { engineFromName } from '../document/enum-words.ts';
import { CommandFailure } from '../exit.ts';
import { failureExitCode, failureText, messageAlone } from '../render/failure.ts';
import { defaultWaitMs } from './apply.ts';
import { awaitOrFail, conditionHolds } from './await-ready.ts';
import { examples, parsePort } from './global-options.ts';
import { addGroup } from './group.ts';
import { hostArgument, relayArgument } from './names.ts';
import { optionOfField, parseOutputs } from './relay-add-options.ts';

interface AddOptions {
  readonly host: readonly string[];
  readonly inputInterface: string;
  readonly inputGroup: string;
  readonly inputPort: number;
  readonly outputs: string;
  readonly engine: 'auto' | 'userspace' | 'kernel';
  readonly dryRun?: boolean;
  readonly wait?: boolean;
}

export function addRelayCommand(program: Command, cli: Cli): void {
  const relay = addGroup(program, 'relay').summary('add a relay in one line').description('Works on one relay.');
  const add = relay
    .command('add')
    .summary('create a relay from options')
    .description('Creates a relay from options, without a document. Refused if the name is taken.')
    .argument('<name>', 'its name: lower-case letters, digits and hyphens')
    .requiredOption('--host <host...>', 'where it runs: one or more hosts')
    .requiredOption('--input-interface <if>', 'where packets arrive')
    .requiredOption('--input-group <group>', 'the group they are sent to, IPv4 or IPv6')
    .requiredOption('--input-port <port>', 'their UDP destination port', parsePort)
    .requiredOption(
      '--outputs <outputs>',
      'GROUP:PORT:INTERFACE, more with commas; IPv6 in brackets: [ff3e::1]:6001:eth1',
    )
    .addOption(
      new Option('--engine <engine>', 'how packets are forwarded')
        .choices(['auto', 'userspace', 'kernel'])
        .default('auto'),
    )
    .option('--dry-run', 'let the controller check everything; store nothing')
    .option('--wait', 'wait until it is ready on all its hosts (--timeout, default 30s)')
    .action((name: string, options: AddOptions, self: Command) => addRelay(cli, name, options, self));
  examples(add, [
    [
      'mcfleet relay add camera-7 --host edge-1 --input-interface eth0 --input-group 239.1.1.1 \\\n      --input-port 5001 --outputs 239.10.10.10:6001:eth1,192.0.2.7:6001:eth1',
      'to a group and to one receiver',
    ],
  ]);
  examples(relay, [['mcfleet relay add --help', 'the options']]);
}

async function addRelay(cli: Cli, name: string, options: AddOptions, command: Command): Promise<void> {
  const id = relayArgument(name);
  const timeoutMs = cli.timeoutMs(command, defaultWaitMs);
  const request = CreateRelayRequest.fromPartial({
    relayId: id,
    relay: {
      name: relayName(id),
      spec: {
        hosts: { names: options.host.flatMap((hosts) => hosts.split(',')).map(hostArgument) },
        engine: engineFromName(options.engine.toUpperCase() as 'AUTO' | 'USERSPACE' | 'KERNEL'),
        input: { interface: options.inputInterface, group: options.inputGroup, port: options.inputPort },
        outputs: parseOutputs(options.outputs),
      },
    },
    validateOnly: options.dryRun === true,
    requestId: options.dryRun ? '' : uuidv7(),
  });
  const connection = cli.connection(command);
  try {
    const created = await connection.call((call) => callUnary(connection.relays, 'createRelay', request, call));
    cli.print(`relay ${id} created${options.dryRun ? ' (dry run)' : ''}\n`);
    if (!options.wait || options.dryRun) return;
    const isReached = (now: typeof created | undefined): boolean =>
      now !== undefined && now.uid === created.uid && conditionHolds(now, 'Ready');
    await awaitOrFail(cli, connection, [{ name: relayName(id), isReached }], { timeoutMs, what: 'ready' });
  } catch (thrown) {
    if (!(thrown instanceof FleetError)) throw thrown;
    const { code, reason, metadata } = thrown;
    // Before its fields get other names.
    const message = messageAlone(thrown);
    const violations = thrown.violations.map(({ field, description }) => ({
      field: optionOfField(field),
      description,
    }));
    throw new CommandFailure(
      failureText(new FleetError({ code, reason, message, metadata, violations })),
      failureExitCode(thrown),
    );
  }
}
