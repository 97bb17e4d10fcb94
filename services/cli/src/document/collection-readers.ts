import { isMap, isNode, isScalar, isSeq, type Node, type Pair, Scalar } from 'yaml';
import { mostSimilar } from '../text/similar.ts';
import type { Position } from './position.ts';
import { joinPath, PositionTree } from './position-tree.ts';
import {
  type Cursor,
  describeNode,
  followAlias,
  noValue,
  positionOf,
  type Reader,
  readValue,
  standInFor,
  violate,
} from './reader.ts';
import { anyText } from './scalar-readers.ts';

/** A key of a mapping. */
export interface Key<T> {
  readonly reader: Reader<T>;
  readonly required: boolean;
}

/** What a mapping with these keys is read into. Where a key is missing or wrong, a stand-in is there, or nothing. */
export type Read<K> = { -readonly [N in keyof K]?: K[N] extends Key<infer T> ? T : never };

export const required = <T>(reader: Reader<T>): Key<T> => ({ reader, required: true });
export const optional = <T>(reader: Reader<T>): Key<T> => ({ reader, required: false });

export function list<T>(item: Reader<T>): Reader<T[]> {
  const standIn = item.standIn === undefined ? [] : [item.standIn];
  return {
    standIn,
    read(node, at) {
      if (!isSeq(node)) {
        if (isScalar(node) && node.value === null) return violate(at, node, noValue);
        const hint = `write [${isScalar(node) ? node.source : '…'}]`;
        return violate(at, node, `must be a list, not ${describeNode(node)}: ${hint}`);
      }
      const items: T[] = [];
      for (const [index, child] of node.items.entries()) {
        const inner = enter(at, String(index), isNode(child) ? positionOf(child, at) : positionOf(node, at));
        const target = isNode(child) ? followAlias(child, inner) : violate(inner, node, noValue);
        const value = readValue(item, target, inner);
        if (value !== undefined) items.push(value);
      }
      return items;
    },
  };
}

/** A mapping of text to text with free keys. */
export const textMap: Reader<Record<string, string>> = {
  standIn: { '/': '/' },
  read(node, at) {
    const pairs = pairsOf(node, at);
    if (pairs === undefined) return undefined;
    const entries: [string, string][] = [];
    for (const { key, value, inner, isAgain } of pairs) {
      const read = readValue(anyText, value, inner);
      if (read !== undefined && !isAgain) entries.push([key, read]);
    }
    return Object.fromEntries(entries);
  },
};

/** A mapping with known keys only. */
export function mapping<K extends Record<string, Key<unknown>>>(keys: K, example?: string): Reader<Read<K>> {
  const known = Object.keys(keys);
  return {
    standIn: {},
    read(node, at) {
      const pairs = pairsOf(node, at, example);
      if (pairs === undefined) return undefined;
      const read: Record<string, unknown> = {};
      const misspelt = new Set<string>();
      const strange: OpenPair[] = [];
      for (const pair of pairs) {
        const { key, keyNode, value, inner, isAgain } = pair;
        const entry = Object.hasOwn(keys, key) ? keys[key] : undefined;
        if (entry !== undefined) {
          const given = readValue(entry.reader, value, inner);
          if (!isAgain) read[key] = given;
        } else if (!isAgain) {
          const near = mostSimilar(key, known);
          violate(inner, keyNode, `unknown key; ${hintFor(near, known)}`);
          if (near === undefined) strange.push(pair);
          else misspelt.add(near);
        }
      }
      // Where nothing is known, that something is lacking is no news.
      if (strange.length > 0 && Object.keys(read).length === 0) at.unread.add(joinPath(at.path));
      const missing = Object.entries(keys).filter(([name]) => !Object.hasOwn(read, name));
      for (const [name, entry] of missing) {
        const inner = { ...at, path: [...at.path, name] };
        // A misspelt required key is one mistake, not two.
        if (entry.required && !misspelt.has(name)) violate(inner, node, 'is missing');
        if (entry.required || misspelt.has(name) || strange.some((pair) => fits(pair, entry.reader))) {
          read[name] = standInFor(entry.reader.standIn, inner);
        }
      }
      for (const name of Object.keys(read)) if (read[name] === undefined) delete read[name];
      return read as Read<K>;
    },
  };
}

function hintFor(near: string | undefined, known: readonly string[]): string {
  return near === undefined ? `known here: ${known.join(', ')}` : `did you mean ${near}?`;
}

/** Whether a key that is not known may be meant for one that takes such a value. */
function fits({ value, inner }: OpenPair, reader: Reader<unknown>): boolean {
  const trial = aside(inner);
  return value !== undefined && reader.read(value, trial) !== undefined && trial.violations.length === 0;
}

/** A cursor whose findings are for nobody else. */
function aside(at: Cursor): Cursor {
  return { ...at, violations: [], unread: new Set(), tree: new PositionTree(at.tree.position) };
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
  /** The key stands above already. What is wrong with the value is told; the first counts. */
  readonly isAgain: boolean;
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
    const target = isNode(value) ? value : nothingAt(keyNode);
    // A value that is a scalar is shown where it stands; a missing or nested one at its key.
    const place = isScalar(target) && target.value !== null ? positionOf(target, at) : position;
    const isAgain = first !== undefined;
    const inner = isAgain
      ? { ...aside(at), violations: at.violations, path: [...at.path, key] }
      : enter(at, key, place);
    if (isAgain) violate(inner, keyNode, `is given twice; first in line ${first.line}`);
    else seen.set(key, position);
    pairs.push({ key, keyNode, value: followAlias(target, inner), inner, isAgain });
  }
  return pairs;
}

/** The value of a key that stands alone. */
function nothingAt(keyNode: Node): Node {
  const nothing = new Scalar(null);
  nothing.range = keyNode.range ?? null;
  return nothing;
}
