import { printable } from '../text/printable.ts';
import type { Paint, Tone } from './paint.ts';

/** One column of a table over objects of one kind. */
export interface Column<T> {
  readonly title: string;
  readonly value: (object: T) => string;
  /** Numbers are aligned at the right. */
  readonly align?: 'right';
  readonly tone?: (object: T) => Tone;
}

const gap = '  ';

/** Lays out rows so that columns stay aligned, also those that are added later (`-w`). */
export class Table<T> {
  readonly #columns: readonly Column<T>[];
  readonly #widths: number[];
  readonly #paint: Paint;
  #hasHeader = false;

  constructor(columns: readonly Column<T>[], paint: Paint) {
    this.#columns = columns;
    this.#widths = columns.map(({ title }) => title.length);
    this.#paint = paint;
  }

  /** The lines for more objects, the first time with the header. */
  rows(objects: readonly T[]): string {
    const cells = objects.map((object) => this.#columns.map(({ value }) => printable(value(object)) || '-'));
    for (const row of cells) {
      for (const [index, cell] of row.entries()) {
        this.#widths[index] = Math.max(this.#widths[index] ?? 0, width(cell));
      }
    }
    const lines: string[] = [];
    if (!this.#hasHeader) {
      lines.push(
        this.#line(
          this.#columns.map(({ title }) => title),
          () => 'plain',
        ),
      );
      this.#hasHeader = true;
    }
    for (const [index, object] of objects.entries()) {
      lines.push(this.#line(cells[index] ?? [], (column) => column.tone?.(object) ?? 'plain'));
    }
    return lines.map((line) => `${line}\n`).join('');
  }

  #line(cells: readonly string[], tone: (column: Column<T>) => Tone): string {
    const last = this.#columns.length - 1;
    return this.#columns
      .map((column, index) => {
        const cell = cells[index] ?? '';
        const padding = ' '.repeat(Math.max(0, (this.#widths[index] ?? 0) - width(cell)));
        const painted = this.#paint(cell, tone(column));
        if (column.align === 'right') return padding + painted;
        return index === last ? painted : painted + padding;
      })
      .join(gap);
  }
}

function width(text: string): number {
  return [...text].length;
}
