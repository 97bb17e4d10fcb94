import { quote } from '@mcfleet/common/quote';
import type { Violations } from '../validate/violations.ts';

/**
 * Fields that a mask can name, in snake_case: "leaf" for those that are set as a whole, "ignored" for those that only the
 * controller sets, otherwise a message with fields of its own.
 */
export interface MaskTree {
  readonly [field: string]: 'leaf' | 'ignored' | MaskTree;
}

type Message = Record<string, unknown>;

/** The mask that stands for all fields. */
export const ALL_FIELDS = '*';

/**
 * Takes the masked fields of `source` over into a copy of `target`. Without a mask these are the fields that are set in `source`.
 * A field that the mask names and `source` does not set is cleared: it is then undefined, to be filled in by `fromPartial`.
 *
 * @param violations gets every path that is not known; the result is then not to be used
 */
export function applyMask<T extends object>(
  { target, source, paths }: { readonly target: T; readonly source: T; readonly paths: readonly string[] | undefined },
  tree: MaskTree,
  violations: Violations,
): T {
  const result = structuredClone(target);
  if (paths === undefined) {
    for (const path of populated(source, tree)) copy(result, source, path, tree);
    return result;
  }
  paths.forEach((text, i) => {
    const path = text.split('.').map(snakeCase);
    if (text === ALL_FIELDS) for (const field of Object.keys(tree)) copy(result, source, [field], tree);
    else if (isKnown(path, tree)) copy(result, source, path, tree);
    else
      violations.add(
        `update_mask.paths[${i}]`,
        `there is no field ${quote(text)} that can be updated: ${describe(tree)}`,
      );
  });
  return result;
}

function isKnown(path: readonly string[], tree: MaskTree): boolean {
  const [field = '', ...rest] = path;
  if (!Object.hasOwn(tree, field)) return false;
  const node = tree[field];
  return rest.length === 0 || (typeof node === 'object' && isKnown(rest, node));
}

/** Paths of the leaves that are set. */
function populated(source: object, tree: MaskTree, above: readonly string[] = []): string[][] {
  return Object.entries(tree).flatMap(([field, node]) => {
    const value = (source as Message)[camelCase(field)];
    if (node === 'ignored' || isUnset(value)) return [];
    const path = [...above, field];
    return node === 'leaf' ? [path] : populated(value as object, node, path);
  });
}

function isUnset(value: unknown): boolean {
  if (value === undefined || value === '' || value === 0) return true;
  if (Array.isArray(value)) return value.length === 0;
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}

function copy(target: object, source: object | undefined, path: readonly string[], tree: MaskTree): void {
  const [field = '', ...rest] = path;
  const node = tree[field];
  if (node === 'ignored') return;
  const key = camelCase(field);
  const from = (source as Message | undefined)?.[key];
  const to = target as Message;
  if (rest.length === 0) to[key] = structuredClone(from);
  else if (typeof node === 'object') {
    to[key] ??= {};
    copy(to[key] as object, from as object | undefined, rest, node);
  }
}

function describe(tree: MaskTree): string {
  const fields = Object.entries(tree).filter(([, node]) => node !== 'ignored');
  return `${fields.map(([field]) => field).join(', ')}, fields below them, and "*" are`;
}

function camelCase(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
