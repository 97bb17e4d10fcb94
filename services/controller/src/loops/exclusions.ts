import type { RelayInput } from '@mcfleet/proto/mcfleet/v1/relay';

/** Lists that are told apart for one group: each output to it is compared with each of them. */
const MAX_LISTS = 16;

/** The lists of excluded sources that inputs have, so that what an output sends is not taken for what none of them takes. */
export class Exclusions {
  /** By group, then by name, sorted. */
  readonly #lists = new Map<string, Map<string, readonly string[]>>();

  constructor(inputs: Iterable<RelayInput>) {
    for (const { group, excludeSources } of inputs) {
      if (excludeSources.length === 0) continue;
      const lists = this.#lists.get(group) ?? new Map<string, readonly string[]>();
      this.#lists.set(group, lists.set(nameOf(excludeSources), excludeSources));
    }
    for (const [group, lists] of this.#lists) {
      const first = [...lists].sort(([a], [b]) => (a < b ? -1 : 1)).slice(0, MAX_LISTS);
      this.#lists.set(group, new Map(first));
    }
  }

  /** The name of an input's list; undefined if it has none, or one too many: then it is taken to exclude nothing. */
  nameOf({ group, excludeSources }: RelayInput): string | undefined {
    const name = nameOf(excludeSources);
    return this.#lists.get(group)?.has(name) ? name : undefined;
  }

  /** Names of the lists of a group that leave in at least one of these sources. @param sources undefined: any */
  passedBy(group: string, sources: readonly string[] | undefined): string[] {
    return [...(this.#lists.get(group) ?? [])].flatMap(([name, excluded]) =>
      sources === undefined || sources.some((source) => !excluded.includes(source)) ? [name] : [],
    );
  }
}

function nameOf(excludeSources: readonly string[]): string {
  return `but ${excludeSources.join()}`;
}
