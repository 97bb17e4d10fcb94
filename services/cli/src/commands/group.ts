import { Command, type HelpContext } from 'commander';

/** A command that only has commands below it. `help GROUP COMMAND` is for that command. */
class GroupCommand extends Command {
  override outputHelp(context?: HelpContext | ((text: string) => string)): void {
    const [first, second, third] = (this.parent?.args ?? []).filter((word) => !word.startsWith('-'));
    const asked = first === 'help' && second === this.name() ? third : undefined;
    const command = this.commands.find((one) => one.name() === asked);
    // As commander says it of a command that there is not, with what is meant perhaps.
    if (asked !== undefined && command === undefined) this.parse([asked], { from: 'user' });
    if (command === undefined) super.outputHelp(context as HelpContext);
    else command.outputHelp(context as HelpContext);
  }
}

/** Adds a group of commands to the program. */
export function addGroup(program: Command, name: string): Command {
  const group = new GroupCommand(name).copyInheritedSettings(program);
  program.addCommand(group);
  return group;
}
