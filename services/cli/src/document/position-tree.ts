import type { Position } from './position.ts';

/** What is at the end of a path, or as near to it as the document goes. */
export interface Located {
  readonly position: Position;
  /** True if every part of the path was found. */
  readonly exact: boolean;
}

/**
 * Where each key and item of a document stands, in the shape of the document, so that a violation that someone else found by
 * field path (the controller) can be shown at its line and column.
 */
export class PositionTree {
  readonly position: Position;
  readonly #children = new Map<string, PositionTree>();

  constructor(position: Position) {
    this.position = position;
  }

  /** Remembers the place of a key or (by its index) an item below this one. */
  add(key: string, position: Position): PositionTree {
    const child = new PositionTree(position);
    this.#children.set(key, child);
    return child;
  }

  /** Finds a path; where the document does not go so far (a missing key), the nearest place above. */
  locate(path: readonly string[]): Located {
    let node: PositionTree = this;
    for (const [depth, part] of path.entries()) {
      // A map's key may itself contain dots ("mcfleet.io/site"): the whole rest of the path is tried first.
      const rest = node.#children.get(path.slice(depth).join('.'));
      if (rest !== undefined) return { position: rest.position, exact: true };
      const next = node.#children.get(part);
      if (next === undefined) return { position: node.position, exact: false };
      node = next;
    }
    return { position: node.position, exact: true };
  }
}

/** Splits "spec.outputs[0].port" or `labels["a.b"]` into its parts. */
export function splitPath(path: string): string[] {
  const parts: string[] = [];
  for (const match of path.matchAll(/\[(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([^\]]*))\]|([^.[\]]+)/g)) {
    parts.push(match[1] ?? match[2] ?? match[3] ?? match[4] ?? '');
  }
  return parts;
}

/** Joins parts as people write them: numbers in brackets, the rest with dots. */
export function joinPath(parts: readonly string[]): string {
  let path = '';
  for (const part of parts) {
    if (/^\d+$/.test(part)) path += `[${part}]`;
    else path += path === '' ? part : `.${part}`;
  }
  return path;
}
