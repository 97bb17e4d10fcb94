import { isScalar, type Node } from 'yaml';
import { mostSimilar } from '../text/similar.ts';
import { type Cursor, describeNode, noValue, type Reader, violate } from './reader.ts';

/** No name, no interface, no address and no value of a label, so that the controller refuses it wherever it judges text. */
const unreadText = '/';

/** The largest number of the API: no port, VLAN, TTL, DSCP or rate of packets. */
const unreadNumber = 0xffff_ffff;

/** Text, which may be empty (values of labels and annotations). */
export const anyText: Reader<string> = { read: readAnyText, standIn: unreadText };

/** Text that is not empty. */
export const text: Reader<string> = { read: readText, standIn: unreadText };

function readAnyText(node: Node, at: Cursor): string | undefined {
  if (isScalar(node)) {
    if (typeof node.value === 'string') return node.value;
    if (node.value === null) return violate(at, node, noValue);
    const shown = node.source ?? String(node.value);
    return violate(at, node, `must be text, not ${describeNode(node)}: write "${shown}" in quotes`);
  }
  return violate(at, node, `must be text, not ${describeNode(node)}`);
}

function readText(node: Node, at: Cursor): string | undefined {
  const value = readAnyText(node, at);
  return value === '' ? violate(at, node, 'is empty: give a value, or remove the key') : value;
}

/** A whole number in a range. */
export function wholeNumber(lowest: number, highest: number): Reader<number> {
  return {
    standIn: unreadNumber,
    read(node, at) {
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
    },
  };
}

/** A whole number as JSON has those of 64 bits: as text. */
export function numberAsText(lowest: number, highest: number): Reader<number> {
  const { read, standIn } = wholeNumber(lowest, highest);
  return {
    standIn,
    read(node, at) {
      if (!isScalar(node) || typeof node.value !== 'string' || !/^[0-9]+$/.test(node.value)) return read(node, at);
      const value = Number(node.value);
      const isInRange = value >= lowest && value <= highest;
      return isInRange ? value : violate(at, node, `must be ${lowest} to ${highest}, not ${node.value}`);
    },
  };
}

/** true or false. What only true allows is not held against whoever wrote something else. */
export const truth: Reader<boolean> = {
  standIn: true,
  read(node, at) {
    if (isScalar(node) && typeof node.value === 'boolean') return node.value;
    if (isScalar(node) && node.value === null) return violate(at, node, noValue);
    return violate(at, node, `must be true or false, not ${describeNode(node)}`);
  },
};

/** One of a few words, written in any case, for what each of them stands for. */
export function choice<T>(meanings: Readonly<Record<string, T>>): Reader<T> {
  const words = Object.keys(meanings);
  return {
    standIn: undefined,
    read(node, at) {
      const value = readText(node, at);
      if (value === undefined) return undefined;
      const found = words.find((word) => word === value.toUpperCase());
      if (found !== undefined) return meanings[found];
      const near = mostSimilar(value, words);
      const hint = near === undefined ? '' : `; did you mean ${near}?`;
      return violate(at, node, `must be ${words.slice(0, -1).join(', ')} or ${words.at(-1)}, not "${value}"${hint}`);
    },
  };
}

/** The one text that may stand here. */
export function exactly<T extends string>(word: T): Reader<T> {
  return {
    standIn: word,
    read(node, at) {
      const value = readText(node, at);
      if (value === undefined || value === word) return value as T | undefined;
      return violate(at, node, `must be ${word}, not "${value}"`);
    },
  };
}

/** Something that is there for people to read and that is not taken. */
export const ignored: Reader<null> = { read: () => null, standIn: null };
