import { readLine, type Statement } from './statement.ts';

/** Files at most, included ones together. */
const maxFiles = 1000;
/** Files that include one another, at most. */
const maxDepth = 16;
/** Characters of all files together at most: some 15,000 lines. */
const maxCharacters = 1024 * 1024;
/** Problems told at most; whoever has more has given the wrong file. */
const maxProblems = 100;

/** Where configurations come from. */
export interface ConfFiles {
  /** The text of a file. @throws UnreadableFile */
  read(path: string): string;
  /** Existing files that match a pattern (glob(3)), in the order of their names. */
  match(pattern: string): readonly string[];
}

/** A line that says something, with all that there is to tell of it. */
export interface ConfLine {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly text: string;
  readonly statement: Statement;
  readonly notes: readonly string[];
}

/** A configuration that smcroute refuses, or that is too large: every problem with file and line. */
export class RefusedConf extends Error {
  override readonly name = 'RefusedConf';

  constructor(problems: readonly string[]) {
    const more = problems.length > maxProblems ? [`and ${problems.length - maxProblems} more`] : [];
    super([...problems.slice(0, maxProblems), ...more].join('\n'));
  }
}

/**
 * The lines of a configuration and of those that it includes, in the order in which smcroute reads them.
 *
 * @throws RefusedConf, and what `files.read` throws
 */
export function readConf(path: string, files: ConfFiles): ConfLine[] {
  const reader = new ConfReader(files);
  reader.read(path, []);
  if (reader.problems.length > 0) throw new RefusedConf(reader.problems);
  return reader.lines;
}

class ConfReader {
  readonly lines: ConfLine[] = [];
  readonly problems: string[] = [];
  readonly #files: ConfFiles;
  #read = 0;
  #characters = 0;

  constructor(files: ConfFiles) {
    this.#files = files;
  }

  /** @param includers the files that lead to this one, outermost first */
  read(path: string, includers: readonly string[]): void {
    this.#read++;
    const text = this.#files.read(path);
    this.#characters += text.length;
    if (this.#characters > maxCharacters) throw new RefusedConf([`${path}: is too large: 1 MiB in all at most`]);
    text.split('\n').forEach((raw, index) => {
      const { statement, problems, notes } = readLine(raw);
      this.problems.push(...problems.map((problem) => `${path}:${index + 1}: ${problem}`));
      if (statement === undefined) return;
      const at = { file: path, line: index + 1, text: raw.trim(), statement };
      if (statement.kind !== 'include') {
        this.lines.push({ ...at, notes });
        return;
      }
      const found = this.#files.match(statement.pattern);
      this.lines.push({ ...at, notes: [...notes, found.length === 0 ? 'no such file' : `read: ${found.join(', ')}`] });
      for (const file of found) this.#include(file, [...includers, path], `${path}:${index + 1}`);
    });
  }

  #include(file: string, includers: readonly string[], place: string): void {
    if (includers.includes(file)) this.problems.push(`${place}: ${file} includes itself`);
    else if (includers.length >= maxDepth)
      this.problems.push(`${place}: more than ${maxDepth} files include one another`);
    else if (this.#read >= maxFiles) throw new RefusedConf([`${place}: more than ${maxFiles} files`]);
    else this.read(file, includers);
  }
}
