/** Takes a change back. */
export type Undo = () => void;

/** The keys under which an index finds a value. */
export type IndexKeys<T> = (value: T) => Iterable<string>;

interface Index<T> {
  readonly keysOf: IndexKeys<T>;
  readonly entries: Map<string, Map<string, T>>;
}

/**
 * All objects of one kind, in memory, with secondary indexes. Values are never changed in place. Its size is bounded by the
 * store's limit for the kind.
 */
export class Table<T> {
  readonly #values = new Map<string, T>();
  readonly #indexes = new Map<string, Index<T>>();
  #sortedKeys: readonly string[] | undefined;

  constructor(indexes: Readonly<Record<string, IndexKeys<T>>> = {}) {
    for (const [name, keysOf] of Object.entries(indexes)) this.#indexes.set(name, { keysOf, entries: new Map() });
  }

  get size(): number {
    return this.#values.size;
  }

  get(key: string): T | undefined {
    return this.#values.get(key);
  }

  has(key: string): boolean {
    return this.#values.has(key);
  }

  values(): Iterable<T> {
    return this.#values.values();
  }

  /** All keys in ascending order of their characters. */
  sortedKeys(): readonly string[] {
    this.#sortedKeys ??= [...this.#values.keys()].sort();
    return this.#sortedKeys;
  }

  /** The values that `index` has under `key`. */
  lookup(index: string, key: string): Iterable<T> {
    return this.#indexes.get(index)?.entries.get(key)?.values() ?? [];
  }

  /** Sets or, with undefined, deletes a value. */
  set(key: string, value: T | undefined): Undo {
    const before = this.#replace(key, value);
    return () => {
      this.#replace(key, before);
    };
  }

  #replace(key: string, value: T | undefined): T | undefined {
    const before = this.#values.get(key);
    if (value === undefined) this.#values.delete(key);
    else this.#values.set(key, value);
    if ((before === undefined) !== (value === undefined)) this.#sortedKeys = undefined;
    for (const { keysOf, entries } of this.#indexes.values()) {
      if (before !== undefined) for (const each of keysOf(before)) removeEntry(entries, each, key);
      if (value === undefined) continue;
      for (const each of keysOf(value)) {
        const bucket = entries.get(each);
        if (bucket === undefined) entries.set(each, new Map([[key, value]]));
        else bucket.set(key, value);
      }
    }
    return before;
  }
}

function removeEntry<T>(entries: Map<string, Map<string, T>>, indexKey: string, key: string): void {
  const bucket = entries.get(indexKey);
  bucket?.delete(key);
  if (bucket?.size === 0) entries.delete(indexKey);
}
