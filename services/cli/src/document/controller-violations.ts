import type { FieldViolation } from '@mcfleet/common/error';
import { inDocumentWords } from './field-paths.ts';
import type { SourcedRelay } from './parse.ts';
import type { Violation } from './position.ts';
import { joinPath, splitPath } from './position-tree.ts';

/** What the controller found wrong, split into what belongs to a document and what does not. */
export interface LocatedViolations {
  readonly inDocuments: readonly Violation[];
  /** Fields of the request that no document holds, such as prune_selector. */
  readonly elsewhere: readonly FieldViolation[];
}

/**
 * Puts the violations of an ApplyRelays request ("relays[1].spec.outputs[0].port") at the lines of the documents, without those
 * that only repeat what was wrong with a document anyway.
 */
export function locateViolations(
  violations: readonly FieldViolation[],
  relays: readonly SourcedRelay[],
): LocatedViolations {
  const inDocuments: Violation[] = [];
  const elsewhere: FieldViolation[] = [];
  for (const violation of violations) {
    const [list, index, ...field] = splitPath(violation.field);
    const sourced = list === 'relays' ? relays[Number(index)] : undefined;
    if (sourced === undefined) {
      elsewhere.push(violation);
      continue;
    }
    const parts = sourced.pathOf(field);
    if (isEcho(parts, sourced.unread)) continue;
    const { position } = sourced.tree.locate(parts);
    inDocuments.push({ position, path: joinPath(parts), message: inDocumentWords(violation.description) });
  }
  return { inDocuments, elsewhere };
}

/** True for what could not be read, or stands below: the controller was given a stand-in. */
function isEcho(parts: readonly string[], unread: ReadonlySet<string>): boolean {
  return parts.some((_, index) => unread.has(joinPath(parts.slice(0, index + 1))));
}
