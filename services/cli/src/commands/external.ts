import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { CommandFailure, UsageError } from '../exit.ts';

/** The launcher, which starts these programs in place of itself. */
const launcher = fileURLToPath(new URL('../../bin/mcfleet', import.meta.url));

const programs = [
  ['controller', 'run the controller: stores intent and serves the API'],
  ['agent', 'run the agent of this host: keeps its data plane as wanted'],
  ['dataplane', 'run the data plane of this host (the agent does it by itself)'],
] as const;

/** A program of its own: its help is its own too. */
class ExternalCommand extends Command {
  override outputHelp(): void {
    const { status, error } = spawnSync(launcher, [this.name(), '--help'], { stdio: 'inherit' });
    if (error !== undefined) throw error;
    if (status !== 0) throw new CommandFailure('', status ?? 1);
  }
}

/** Lists the programs that the launcher starts by their name in the first place of the command line. */
export function addExternalCommands(program: Command): void {
  for (const [name, summary] of programs) {
    const command = new ExternalCommand(name)
      .summary(summary)
      .usage('[options]')
      .helpOption(false)
      .allowUnknownOption()
      .allowExcessArguments()
      .argument('[args...]')
      .action(() => {
        throw new UsageError(
          `options of the CLI do not apply to the ${name}: write mcfleet ${name} first, then its options`,
        );
      });
    program.addCommand(command);
  }
}
