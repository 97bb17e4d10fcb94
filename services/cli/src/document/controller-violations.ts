import type { FieldViolation } from '@mcfleet/common/error';
import type { SourcedRelay } from './parse.ts';
import type { Violation } from './position.ts';
import { joinPath, splitPath } from './position-tree.ts';
import { documentPath, inDocumentWords } from './relay-document.ts';

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
    const parts = documentPath(field);
    if (isEcho(parts, sourced.violations)) continue;
    const { position } = sourced.tree.locate(parts);
    inDocuments.push({ position, path: joinPath(parts), message: inDocumentWords(violation.description) });
  }
  return { inDocuments, elsewhere };
}

/**
 * True for what was found wrong already when the document was read, or stands below: the controller was not given it. Likewise for
 * lists with an item that could not be read: the items after it have other indices in the request.
 */
function isEcho(parts: readonly string[], known: readonly Violation[]): boolean {
  const wrong = new Set<string>();
  for (const { path } of known) {
    wrong.add(path);
    const list = /^(.*)\[\d+\]$/.exec(path)?.[1];
    if (list !== undefined) wrong.add(list);
  }
  // A selector that could not be read selects nothing.
  if (joinPath(parts) === 'spec.hosts' && known.some(({ path }) => path.startsWith('spec.hosts.'))) return true;
  return parts.some((_, index) => wrong.has(joinPath(parts.slice(0, index + 1))));
}
