import { printable } from '../text/printable.ts';

/** Text in sections with names and values, as `describe` prints it: an indented outline with aligned values. */
export class Outline {
  readonly #lines: string[] = [];
  readonly #indent: string;

  constructor(indent = '') {
    this.#indent = indent;
  }

  /** Names and values, aligned with each other; values that are empty are left out. */
  fields(pairs: readonly (readonly [name: string, value: string])[]): this {
    const given = pairs.filter(([, value]) => value !== '');
    const width = Math.max(0, ...given.map(([name]) => name.length));
    for (const [name, value] of given) {
      this.line(`${`${name}:`.padEnd(width + 2)} ${value}`);
    }
    return this;
  }

  /** One line; what came from elsewhere is made printable. */
  line(text: string): this {
    this.#lines.push(`${this.#indent}${printable(text)}`.trimEnd());
    return this;
  }

  /** Lines that are laid out already (a table). */
  block(text: string): this {
    for (const line of text.split('\n')) if (line !== '') this.#lines.push(this.#indent + line);
    return this;
  }

  /** A heading and what belongs below it, after an empty line at the top level. */
  section(title: string, fill: (inner: Outline) => void): this {
    const inner = new Outline(`${this.#indent}  `);
    fill(inner);
    if (inner.#lines.length === 0) return this;
    if (this.#indent === '') this.#lines.push('');
    this.#lines.push(`${this.#indent}${title}:`, ...inner.#lines);
    return this;
  }

  toString(): string {
    return this.#lines.map((line) => `${line}\n`).join('');
  }
}
