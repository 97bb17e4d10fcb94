import { Command } from 'commander';
import { UsageError } from '../exit.ts';

/** Commands that the documentation names and this version does not have, each with what tells the same now. */
const planned = [
  ['top', 'mcfleet get instances -w shows what flows'],
  ['why', 'mcfleet describe relay NAME says what keeps a relay from forwarding'],
  ['doctor', 'mcfleet describe host NAME shows what the host lacks'],
] as const;

/** The same of kinds of `get`. */
const plannedKinds: Readonly<Record<string, string>> = {
  events: 'mcfleet get instances -w shows changes as they come',
};

/** @throws UsageError if `kind` is one to come, in singular or plural */
export function refusePlannedKind(kind: string): void {
  const name = kind.toLowerCase().replace(/s?$/, 's');
  const instead = Object.hasOwn(plannedKinds, name) ? plannedKinds[name] : undefined;
  if (instead !== undefined) throw notYet(`get ${name}`, instead);
}

function notYet(command: string, instead: string): UsageError {
  return new UsageError(`mcfleet ${command} is not in this version yet; ${instead}`);
}

/** Says of commands to come that they are not there yet, also when they are asked for help. They are not listed. */
export function addPlannedCommands(program: Command): void {
  for (const [name, instead] of planned) {
    const fail = (): never => {
      throw notYet(name, instead);
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
