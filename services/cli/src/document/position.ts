/** A place in a document, for people: lines and columns count from 1. */
export interface Position {
  /** The file as the user named it; "-" is shown as "<stdin>". */
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** One thing wrong in a document. */
export interface Violation {
  readonly position: Position;
  /** The keys that lead there: "spec.outputs[0].port". Empty for the document as a whole. */
  readonly path: string;
  /** What is wrong and what to do: "must be a number, not text". */
  readonly message: string;
}

/** Orders violations as a reader meets them; files keep the order in which they were read. */
export function compareViolations(a: Violation, b: Violation, files: readonly string[]): number {
  return (
    files.indexOf(a.position.file) - files.indexOf(b.position.file) ||
    a.position.line - b.position.line ||
    a.position.column - b.position.column
  );
}

/** "relays.yaml:12:13: spec.outputs[0].port: must be 1 to 65535", the form that editors and compilers share. */
export function formatViolation(violation: Violation): string {
  const { file, line, column } = violation.position;
  const path = violation.path === '' ? '' : ` ${violation.path}:`;
  return `${file}:${line}:${column}:${path} ${violation.message}`;
}
