import { type Document, isAlias, isMap, isScalar, isSeq, type LineCounter, type Node } from 'yaml';
import type { Position, Violation } from './position.ts';
import { joinPath, type PositionTree } from './position-tree.ts';

/** Where reading stands in one document, and what was found wrong so far. */
export interface Cursor {
  readonly file: string;
  readonly document: Document;
  readonly lines: LineCounter;
  readonly violations: Violation[];
  readonly path: readonly string[];
  readonly tree: PositionTree;
}

/** Reads a value of one type; undefined if it is not of that type, which is then among the violations. */
export type Reader<T> = (node: Node, at: Cursor) => T | undefined;

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
  if (typeof node.value === 'string') return 'text';
  if (typeof node.value === 'boolean') return `the truth value ${node.source ?? node.value}`;
  return `the number ${node.source ?? node.value}`;
}

/** Said of a key without a value. */
export const noValue = 'has no value: give one, or remove the key';
