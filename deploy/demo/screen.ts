/** What the demo prints: plain lines, and on a terminal one block that is drawn over again while it changes. */
export class Screen {
  readonly #out: NodeJS.WriteStream;
  /** Lines of the block that can be drawn over; 0 if something was printed since. */
  #drawn = 0;

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
  }

  /** Prints lines that stay. */
  print(...lines: readonly string[]): void {
    this.#drawn = 0;
    this.#out.write(`${lines.join('\n')}\n`);
  }

  /** Prints a heading. */
  step(title: string): void {
    this.print('', this.bold(title));
  }

  /** Prints a table in place of the one before. Without a terminal below it, and its heading only once. */
  redraw(heading: string, rows: readonly string[]): void {
    const again = this.#drawn > 0;
    // ECMA-48: CPL to the first line of the block, then ED to the end of the screen.
    if (again && this.#out.isTTY) this.#out.write(`\x1b[${this.#drawn}F\x1b[J`);
    const lines = again && !this.#out.isTTY ? rows : [heading, ...rows];
    this.#out.write(`${lines.join('\n')}\n`);
    this.#drawn = rows.length + 1;
  }

  bold(text: string): string {
    return this.#coloured ? `\x1b[1m${text}\x1b[22m` : text;
  }

  good(text: string): string {
    return this.#coloured ? `\x1b[32m${text}\x1b[39m` : text;
  }

  bad(text: string): string {
    return this.#coloured ? `\x1b[31m${text}\x1b[39m` : text;
  }

  /** https://no-color.org */
  get #coloured(): boolean {
    return this.#out.isTTY && (process.env.NO_COLOR ?? '') === '';
  }
}
