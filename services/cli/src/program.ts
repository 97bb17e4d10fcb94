import { FleetError } from '@mcfleet/common/error';
import { VERSION } from '@mcfleet/common/version';
import { Command, CommanderError, type HelpContext } from 'commander';
import { Cli, type CliProcess, defaultServer } from './cli.ts';
import { addApplyCommand } from './commands/apply.ts';
import { addDeleteCommand } from './commands/delete.ts';
import { addDescribeCommand } from './commands/describe.ts';
import { addDiffCommand } from './commands/diff.ts';
import { addExternalCommands } from './commands/external.ts';
import { addGetCommand } from './commands/get.ts';
import { addImportCommand } from './commands/import.ts';
import { addPlannedCommands } from './commands/planned.ts';
import { addProbeCommands } from './commands/probe.ts';
import { addRelayCommand } from './commands/relay-add.ts';
import { addWaitCommand } from './commands/wait.ts';
import { UnreadableFile } from './document/load.ts';
import { CommandFailure, exitCodes, UsageError } from './exit.ts';
import { failureExitCode, failureText } from './render/failure.ts';
import { printable } from './text/printable.ts';

/** Help of all of mcfleet, and not in place of the help of a command that there is not. */
class MainCommand extends Command {
  override outputHelp(context?: HelpContext | ((text: string) => string)): void {
    const [first, second] = this.args.filter((word) => !word.startsWith('-'));
    const asked = first === 'help' ? second : first;
    if (asked !== undefined && asked !== 'help' && !this.commands.some((command) => command.name() === asked)) {
      // As commander says it without --help, with what is meant perhaps.
      this.parse([asked], { from: 'user' });
    }
    super.outputHelp(context as HelpContext);
  }
}

/** The command line of mcfleet. */
export function buildProgram(cli: Cli): Command {
  const program = new MainCommand('mcfleet')
    .description('Relays IP multicast where routing fails, on one host or across thousands, under one declared intent.')
    .version(VERSION, '--version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand('help [command]', 'print help for a command')
    .option(
      '--server <address>',
      `the controller: HOST[:PORT], [IPV6]:PORT or unix:PATH (env MCFLEET_SERVER, default ${defaultServer})`,
    )
    .option(
      '--timeout <duration>',
      'how long to wait for an answer (default 10s), or for what --wait and wait wait for',
    )
    .configureHelp({ showGlobalOptions: true, helpWidth: 120 })
    .configureOutput({
      writeOut: (text) => cli.print(text),
      // Commander repeats what it does not understand.
      writeErr: (text) => cli.process.writeStderr(printable(text, { lines: true })),
    })
    .showHelpAfterError('Help: mcfleet help')
    .exitOverride();
  program.addHelpText(
    'after',
    '\nExit code: 0 success, 1 failure, 2 wrong usage or "diff found differences", 64 + gRPC code for a refused call.\n\nStart here:\n  mcfleet apply -f relays.yaml --wait\n  mcfleet get relays',
  );
  addApplyCommand(program, cli);
  addDiffCommand(program, cli);
  addGetCommand(program, cli);
  addDescribeCommand(program, cli);
  addDeleteCommand(program, cli);
  addWaitCommand(program, cli);
  addRelayCommand(program, cli);
  addProbeCommands(program, cli);
  addImportCommand(program, cli);
  addExternalCommands(program);
  addPlannedCommands(program);
  return program;
}

/** Runs one command line (without node and script) and returns the exit code. */
export async function run(argv: readonly string[], process: CliProcess): Promise<number> {
  const cli = new Cli(process);
  try {
    await buildProgram(cli).parseAsync([...argv], { from: 'user' });
    return exitCodes.success;
  } catch (thrown) {
    return report(cli, thrown);
  } finally {
    cli.close();
  }
}

/** Says what went wrong, once, and gives the exit code. */
function report(cli: Cli, thrown: unknown): number {
  if (thrown instanceof CommanderError) {
    // Commander has printed it already. Help and version that were asked for are no error.
    return thrown.exitCode === 0 ? exitCodes.success : exitCodes.usageOrDifferences;
  }
  if (thrown instanceof CommandFailure) {
    if (thrown.message !== '') cli.say(thrown.message);
    return thrown.exitCode;
  }
  if (thrown instanceof UsageError) {
    cli.say(`error: ${thrown.message}`);
    return exitCodes.usageOrDifferences;
  }
  if (thrown instanceof UnreadableFile) {
    cli.say(`error: ${thrown.message}`);
    return exitCodes.failure;
  }
  if (thrown instanceof FleetError) {
    cli.say(failureText(thrown));
    return failureExitCode(thrown);
  }
  cli.say(`error: ${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}`);
  return exitCodes.failure;
}
