import { Command } from 'commander';
import { UsageError } from '../exit.ts';

/** Commands that the documentation names and this version does not have, each with what tells the same now. */
const planned = [
  ['top', 'mcfleet get instances -w shows what flows'],
  ['why', 'mcfleet describe relay NAME says what keeps a relay from forwarding'],
  ['doctor', 'mcfleet describe host NAME shows what the host lacks'],
] as const;

/** Says of commands to come that they are not there yet, also when they are asked for help. They are not listed. */
export function addPlannedCommands(program: Command): void {
  for (const [name, instead] of planned) {
    const fail = (): never => {
      throw new UsageError(`mcfleet ${name} is not in this version yet; ${instead}`);
    };
    class PlannedCommand extends Command {
      override outputHelp(): void {
        fail();
      }
    }
    const command = new PlannedCommand(name).helpOption(false).allowUnknownOption().allowExcessArguments().action(fail);
    program.addCommand(command, { hidden: true });
  }
}
