import { type Document, isAlias, isMap, isNode, isScalar, isSeq, type LineCounter, type Node, type Pair } from 'yaml';
import { mostSimilar } from '../text/similar.ts';
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

/** A key of a mapping. */
export interface Key<T> {
  readonly read: Reader<T>;
  readonly required: boolean;
}

/** What a mapping with these keys is read into. A required key that is missing is a violation, and absent here. */
export type Read<K> = { -readonly [N in keyof K]?: K[N] extends Key<infer T> ? T : never };

export const required = <T>(read: Reader<T>): Key<T> => ({ read, required: true });
export const optional = <T>(read: Reader<T>): Key<T> => ({ read, required: false });

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

const noValue = 'has no value: give one, or remove the key';

/** Text that is not empty. */
export const text: Reader<string> = (node, at) => {
  const value = anyText(node, at);
  return value === '' ? violate(at, node, 'is empty: give a value, or remove the key') : value;
};

/** Text, which may be empty (values of labels and annotations). */
export const anyText: Reader<string> = (node, at) => {
  if (isScalar(node)) {
    if (typeof node.value === 'string') return node.value;
    if (node.value === null) return violate(at, node, noValue);
    const shown = node.source ?? String(node.value);
    return violate(at, node, `must be text, not ${describeNode(node)}: write "${shown}" in quotes`);
  }
  return violate(at, node, `must be text, not ${describeNode(node)}`);
};

/** A whole number in a range. */
export function wholeNumber(lowest: number, highest: number): Reader<number> {
  return (node, at) => {
    if (!isScalar(node)) return violate(at, node, `must be a number, not ${describeNode(node)}`);
    const { value } = node;
    if (value === null) return violate(at, node, noValue);
    if (typeof value === 'string') {
      const hint = /^[0-9]+$/.test(value) ? `: write ${value} without quotes` : ` (${JSON.stringify(value)})`;
      return violate(at, node, `must be a number, not text${hint}`);
    }
    if (typeof value !== 'number') return violate(at, node, `must be a number, not ${describeNode(node)}`);
    if (!Number.isInteger(value) || value < lowest || value > highest) {
      return violate(at, node, `must be ${lowest} to ${highest}, not ${node.source ?? value}`);
    }
    return value;
  };
}

/** One of a few words, written in any case. */
export function choice<T extends string>(...words: readonly T[]): Reader<T> {
  return (node, at) => {
    const value = text(node, at);
    if (value === undefined) return undefined;
    const found = words.find((word) => word === value.toUpperCase());
    if (found !== undefined) return found;
    const near = mostSimilar(value, words);
    const hint = near === undefined ? '' : `; did you mean ${near}?`;
    return violate(at, node, `must be ${words.slice(0, -1).join(', ')} or ${words.at(-1)}, not "${value}"${hint}`);
  };
}

/** Something that is there for people to read and that is not taken. */
export const ignored: Reader<undefined> = () => undefined;

export function list<T>(read: Reader<T>): Reader<T[]> {
  return (node, at) => {
    if (!isSeq(node)) {
      if (isScalar(node) && node.value === null) return violate(at, node, noValue);
      return violate(
        at,
        node,
        `must be a list, not ${describeNode(node)}: write [${isScalar(node) ? node.source : '…'}]`,
      );
    }
    const items: T[] = [];
    for (const [index, item] of node.items.entries()) {
      const inner = enter(at, String(index), isNode(item) ? positionOf(item, at) : positionOf(node, at));
      const target = isNode(item) ? followAlias(item, inner) : violate(inner, node, noValue);
      const value = target === undefined ? undefined : read(target, inner);
      if (value !== undefined) items.push(value);
    }
    return items;
  };
}

/** A mapping of text to text with free keys. */
export const textMap: Reader<Record<string, string>> = (node, at) => {
  const pairs = pairsOf(node, at);
  if (pairs === undefined) return undefined;
  const entries: [string, string][] = [];
  for (const { key, value, inner } of pairs) {
    const read = value === undefined ? undefined : anyText(value, inner);
    if (read !== undefined) entries.push([key, read]);
  }
  return Object.fromEntries(entries);
};

/** A mapping with known keys only. */
export function mapping<K extends Record<string, Key<unknown>>>(keys: K, example?: string): Reader<Read<K>> {
  const known = Object.keys(keys);
  return (node, at) => {
    const pairs = pairsOf(node, at, example);
    if (pairs === undefined) return undefined;
    const read: Record<string, unknown> = {};
    const given = new Set<string>();
    for (const { key, keyNode, value, inner } of pairs) {
      const entry = Object.hasOwn(keys, key) ? keys[key] : undefined;
      if (entry === undefined) {
        const near = mostSimilar(key, known);
        const hint = near === undefined ? `known here: ${known.join(', ')}` : `did you mean ${near}?`;
        violate(inner, keyNode, `unknown key; ${hint}`);
        // A misspelt required key is one mistake, not two.
        if (near !== undefined) given.add(near);
        continue;
      }
      given.add(key);
      if (value !== undefined) read[key] = entry.read(value, inner);
    }
    for (const [name, key] of Object.entries(keys)) {
      if (key.required && !given.has(name)) {
        violate({ ...at, path: [...at.path, name] }, node, 'is missing');
      }
    }
    for (const name of Object.keys(read)) if (read[name] === undefined) delete read[name];
    return read as Read<K>;
  };
}

function enter(at: Cursor, key: string, position: Position): Cursor {
  return { ...at, path: [...at.path, key], tree: at.tree.add(key, position) };
}

interface OpenPair {
  readonly key: string;
  readonly keyNode: Node;
  /** Absent if the alias it is leads nowhere; that is a violation already. */
  readonly value: Node | undefined;
  readonly inner: Cursor;
}

/** The pairs of a mapping with their places; refuses keys that are not text and keys that are given twice. */
function pairsOf(node: Node, at: Cursor, example?: string): OpenPair[] | undefined {
  if (!isMap(node)) {
    if (isScalar(node) && node.value === null) return violate(at, node, noValue);
    const hint = example === undefined ? '' : `: write ${example}`;
    return violate(at, node, `must be a mapping, not ${describeNode(node)}${hint}`);
  }
  const pairs: OpenPair[] = [];
  const seen = new Map<string, Position>();
  for (const { key: keyNode, value } of node.items as Pair<unknown, unknown>[]) {
    if (!isScalar(keyNode)) {
      violate(at, isNode(keyNode) ? keyNode : node, 'a key must be plain text');
      continue;
    }
    const key = typeof keyNode.value === 'string' ? keyNode.value : (keyNode.source ?? String(keyNode.value));
    const position = positionOf(keyNode, at);
    const first = seen.get(key);
    const target = isNode(value) ? value : undefined;
    // A value that is a scalar is shown where it stands; a missing or nested one at its key.
    const place = target !== undefined && isScalar(target) && target.value !== null ? positionOf(target, at) : position;
    if (first !== undefined) {
      violate({ ...at, path: [...at.path, key] }, keyNode, `is given twice; first in line ${first.line}`);
      continue;
    }
    seen.set(key, position);
    const inner = enter(at, key, place);
    if (target === undefined) {
      violate(inner, keyNode, noValue);
      pairs.push({ key, keyNode, value: undefined, inner });
      continue;
    }
    pairs.push({ key, keyNode, value: followAlias(target, inner), inner });
  }
  return pairs;
}
