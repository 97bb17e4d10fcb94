import { type Document, isAlias, isMap, isScalar, isSeq, type LineCounter, type Node } from 'yaml';
import type { Position, Violation } from './position.ts';
import { joinPath, type PositionTree } from './position-tree.ts';

/** Where reading stands in one document, and what was found wrong so far. */
export interface Cursor {
  readonly file: string;
  readonly document: Document;
  readonly lines: LineCounter;
  readonly violations: Violation[];
  /** Paths of what could not be read, and for which a stand-in is sent. What the controller says about these is no news. */
  readonly unread: Set<string>;
  readonly path: readonly string[];
  readonly tree: PositionTree;
}

/** Reads values of one type. */
export interface Reader<T> {
  /** Undefined if the value is not of the type, which is then among the violations. */
  readonly read: (node: Node, at: Cursor) => T | undefined;
  /**
   * Sent for a value that cannot be read, so that the controller judges the rest as if something stood there. It refuses most
   * stand-ins, and so leaves alone what depends on them: without one it would find an omitted port in place of a misspelt one, say,
   * and a relay that feeds itself. Undefined: as if the key were not there.
   */
  readonly standIn: T | undefined;
}

/** What a node says; if that cannot be read, what stands in for it. */
export function readValue<T>({ read, standIn }: Reader<T>, node: Node | undefined, at: Cursor): T | undefined {
  const value = node === undefined || hasForeignTag(node) ? undefined : read(node, at);
  return value === undefined ? standInFor(standIn, at) : value;
}

/** Notes that what stands at the cursor, or should, could not be read. */
export function standInFor<T>(standIn: T, at: Pick<Cursor, 'unread' | 'path'>): T {
  at.unread.add(joinPath(at.path));
  return standIn;
}

/** The parser has told that it does not know such a tag. */
function hasForeignTag(node: Node): boolean {
  return 'tag' in node && typeof node.tag === 'string' && !node.tag.startsWith('tag:yaml.org,2002:');
}

export function positionOf(node: Node | undefined, at: Cursor): Position {
  const offset = node?.range?.[0];
  if (offset === undefined) return at.tree.position;
  const { line, col } = at.lines.linePos(offset);
  return { file: at.file, line, column: col };
}

export function violate(at: Cursor, node: Node | undefined, message: string): undefined {
  at.violations.push({ position: positionOf(node, at), path: joinPath(at.path), message });
  return undefined;
}

/** Follows an alias (`*name`) to the value it stands for. */
export function followAlias(node: Node, at: Cursor): Node | undefined {
  if (!isAlias(node)) return node;
  const target = node.resolve(at.document);
  return target ?? violate(at, node, `there is no anchor &${node.source} above`);
}

/** What a node is, in words for a message. */
export function describeNode(node: Node): string {
  if (isMap(node)) return 'a mapping';
  if (isSeq(node)) return 'a list';
  if (!isScalar(node)) return 'an alias';
  if (node.value === null) return 'nothing';
  switch (typeof node.value) {
    case 'string':
      return 'text';
    case 'boolean':
      return `the truth value ${node.source ?? node.value}`;
    case 'object':
      return `a value with the tag ${node.tag?.replace('tag:yaml.org,2002:', '!!')}`;
    default:
      return `the number ${node.source ?? node.value}`;
  }
}

/** Said of a key without a value. */
export const noValue = 'has no value: give one, or remove the key';
