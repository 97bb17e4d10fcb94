import { type Command, InvalidArgumentError, Option } from 'commander';

/** How the result of a command is printed. */
export type OutputFormat = 'table' | 'wide' | 'json' | 'yaml' | 'name';

/** -o, --output with some of the formats. */
export function outputOption(formats: readonly OutputFormat[]): Option {
  return new Option('-o, --output <format>', 'how to print the result').choices([...formats]).default(formats[0]);
}

/** -f, --filename; may be given more than once. */
export function fileOption(): Option {
  return new Option('-f, --filename <file>', 'file, directory, or - for standard input; may be repeated').argParser(
    (value: string, before: string[] | undefined) => [...(before ?? []), value],
  );
}

/** -l, --selector. */
export function selectorOption(description: string): Option {
  return new Option('-l, --selector <labels>', description);
}

/** Examples below the options of a command's help. */
export function examples(command: Command, lines: readonly (readonly [commandLine: string, meaning: string])[]): void {
  const width = Math.max(...lines.map(([line]) => line.length));
  const text = lines.map(([line, meaning]) => `  ${line.padEnd(width)}  # ${meaning}`).join('\n');
  command.addHelpText('after', `\nExamples:\n${text}`);
}

/** Reads a UDP port of the command line. */
export function parsePort(value: string): number {
  const port = Number(value);
  if (!/^\d+$/.test(value) || port < 1 || port > 65_535) throw new InvalidArgumentError('A port is 1 to 65535.');
  return port;
}
