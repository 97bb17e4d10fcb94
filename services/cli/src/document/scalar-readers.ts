import { isScalar } from 'yaml';
import { mostSimilar } from '../text/similar.ts';
import { describeNode, noValue, type Reader, violate } from './reader.ts';

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

/** true or false. */
export const truth: Reader<boolean> = (node, at) => {
  if (isScalar(node) && typeof node.value === 'boolean') return node.value;
  if (isScalar(node) && node.value === null) return violate(at, node, noValue);
  return violate(at, node, `must be true or false, not ${describeNode(node)}`);
};

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
