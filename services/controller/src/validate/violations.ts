import type { FieldViolation } from '@mcfleet/common/error';

/** Collects what is wrong with a request, so that a caller learns all of it at once. */
export class Violations {
  readonly #found: FieldViolation[] = [];
  readonly #fields = new Set<string>();

  /** Notes one violation. `field` is the path from the request, in snake_case: "relay.spec.outputs[2].interface". */
  add(field: string, description: string): void {
    this.#found.push({ field, description });
    this.#fields.add(field);
  }

  /** Whether something is wrong with a field itself: what it means together with others cannot be told then. */
  has(field: string): boolean {
    return this.#fields.has(field);
  }

  /** What was found, in the order of the fields. */
  get all(): readonly FieldViolation[] {
    return this.#found;
  }
}
