import type { FieldDiff } from '@mcfleet/proto/mcfleet/v1/relay_service';
import { mapEntryPath } from '../validate/metadata.ts';

/** A JSON value; undefined stands for a field that is not set. */
type Json = string | number | boolean | null | undefined | readonly Json[] | { readonly [key: string]: Json };
type JsonObject = { readonly [key: string]: Json };

/**
 * The fields in which two ProtoJSON objects differ, by path in snake_case: first those of `after`, in its order. Repeated fields are
 * compared by position. A message or entry that only one side has is one difference.
 *
 * @param maps names, in lowerCamelCase, of the fields that are protobuf maps: their keys are data and are kept as they are
 */
export function diffJson(before: unknown, after: unknown, maps: ReadonlySet<string>): FieldDiff[] {
  const found: FieldDiff[] = [];
  compare(before as Json, after as Json, '', false);
  return found;

  function compare(a: Json, b: Json, path: string, inMap: boolean): void {
    if (Array.isArray(a) && Array.isArray(b)) {
      for (let i = 0; i < Math.max(a.length, b.length); i++) compare(a[i], b[i], `${path}[${i}]`, false);
    } else if (isObject(a) && isObject(b)) {
      for (const key of new Set([...Object.keys(b), ...Object.keys(a)])) {
        const child = inMap ? mapEntryPath(path, key) : [path, snakeCase(key)].filter(Boolean).join('.');
        const isMap = !inMap && maps.has(key);
        // An empty map is left out of JSON; its entries come and go one by one all the same.
        if (isMap) compare(own(a, key) ?? {}, own(b, key) ?? {}, child, true);
        else compare(own(a, key), own(b, key), child, false);
      }
    } else if (a !== b) {
      found.push({ path, oldJson: text(a), newJson: text(b) });
    }
  }
}

function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function own(object: JsonObject, key: string): Json {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

function text(value: Json): string {
  return value === undefined ? '' : JSON.stringify(value);
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
