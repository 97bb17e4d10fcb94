import type { FieldViolation } from '@mcfleet/common/error';

/** Collects what is wrong with a request, so that a caller learns all of it at once. */
export class Violations {
  readonly #found: FieldViolation[] = [];

  /** Notes one violation. `field` is the path from the request, in snake_case: "relay.spec.outputs[2].interface". */
  add(field: string, description: string): void {
    this.#found.push({ field, description });
  }

  /** What was found, in the order of the fields. */
  get all(): readonly FieldViolation[] {
    return this.#found;
  }
}

/** Text of a user as it is shown in an error: quoted, control characters escaped, at most 64 characters. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 64 ? `${text.slice(0, 64)}…` : text);
}
