import type { Clock } from '@mcfleet/common/clock';
import { refusal } from '../errors.ts';
import { invalidRequest } from './requests.ts';
import { canonicalHash, type TokenFields, type Tokens } from './tokens.ts';

const DEFAULT_PAGE_SIZE = 50;
const MAX_PAGE_SIZE = 1000;
/** A page ends early rather than outgrow a message of 4 MiB. */
const MAX_PAGE_BYTES = 2 * 1024 * 1024;
const TOKEN_LIFETIME_MS = 60 * 60 * 1000;

/** What a list is asked for. */
export interface PageRequest {
  readonly pageSize: number;
  readonly pageToken: string;
  /** Everything else of the request: it must stay the same from page to page. */
  readonly filter: unknown;
}

/** Where to list from. */
export interface PageStart {
  readonly limit: number;
  /** Key of the last item of the page before; undefined on the first page. */
  readonly after: string | undefined;
  /** What the first page wanted remembered. */
  readonly carried: TokenFields;
}

export interface Page<Item> {
  readonly items: readonly Item[];
  /** Key of the last item, if there are more behind it. */
  readonly lastKey: string | undefined;
}

/** Cuts lists into pages. Tokens name the last key of a page, so that what comes or goes meanwhile never repeats or hides others. */
export class Pages {
  readonly #tokens: Tokens;
  readonly #clock: Clock;

  constructor(tokens: Tokens, clock: Clock) {
    this.#tokens = tokens;
    this.#clock = clock;
  }

  /** @throws FleetError INVALID_REQUEST or PAGE_TOKEN_INVALID */
  start(list: string, { pageSize, pageToken, filter }: PageRequest): PageStart {
    if (pageSize < 0) throw invalidRequest([{ field: 'page_size', description: `${pageSize} is below 0` }]);
    const limit = Math.min(pageSize === 0 ? DEFAULT_PAGE_SIZE : pageSize, MAX_PAGE_SIZE);
    if (pageToken === '') return { limit, after: undefined, carried: {} };
    const fields = this.#tokens.open(`page ${list}`, pageToken);
    if (fields === undefined) throw badToken('it was not made by this controller for this list');
    if (fields.filter !== canonicalHash(filter))
      throw badToken('the other fields of the request have changed since the page before');
    if (Number(fields.expires) <= this.#clock.now())
      throw badToken('it is older than one hour: list again from the start');
    return { limit, after: fields.after, carried: fields };
  }

  /** The token of the page behind `lastKey`. */
  next(list: string, lastKey: string | undefined, filter: unknown, carried: TokenFields): string {
    if (lastKey === undefined) return '';
    const expires = String(this.#clock.now() + TOKEN_LIFETIME_MS);
    return this.#tokens.seal(`page ${list}`, { ...carried, after: lastKey, filter: canonicalHash(filter), expires });
  }
}

/** The items of one page, from keys in order; `read` gives undefined for keys that are gone. */
export function cutPage<Item>(
  keys: Iterable<string>,
  limit: number,
  read: (key: string) => Item | undefined,
  sizeOf: (item: Item) => number,
): Page<Item> {
  const items: Item[] = [];
  let bytes = 0;
  let lastKey: string | undefined;
  for (const key of keys) {
    const item = read(key);
    if (item === undefined) continue;
    const size = sizeOf(item);
    if (items.length > 0 && (items.length >= limit || bytes + size > MAX_PAGE_BYTES)) return { items, lastKey };
    items.push(item);
    bytes += size;
    lastKey = key;
  }
  return { items, lastKey: undefined };
}

function badToken(why: string): Error {
  const description = `cannot be used: ${why}`;
  return refusal('PAGE_TOKEN_INVALID', `page_token ${description}`, {
    violations: [{ field: 'page_token', description }],
  });
}
