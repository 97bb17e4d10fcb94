import { isMap, isNode, isScalar, isSeq, type Node, type Pair } from 'yaml';
import { mostSimilar } from '../text/similar.ts';
import type { Position } from './position.ts';
import { type Cursor, describeNode, followAlias, noValue, positionOf, type Reader, violate } from './reader.ts';
import { anyText } from './scalar-readers.ts';

/** A key of a mapping. */
export interface Key<T> {
  readonly read: Reader<T>;
  readonly required: boolean;
}

/** What a mapping with these keys is read into. A required key that is missing is a violation, and absent here. */
export type Read<K> = { -readonly [N in keyof K]?: K[N] extends Key<infer T> ? T : never };

export const required = <T>(read: Reader<T>): Key<T> => ({ read, required: true });
export const optional = <T>(read: Reader<T>): Key<T> => ({ read, required: false });

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
