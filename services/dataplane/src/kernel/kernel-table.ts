import type {
  IpFamily,
  KernelRoute,
  MulticastRoute,
  MulticastTable,
  RouteChange,
  RouteFailure,
  TableContent,
} from '@mcfleet/native';
import type { Logger } from 'pino';
import { isAsWanted, routeKey } from './routes.ts';

/** Takes a table. As `openMulticastTable` of the native part. */
export type OpenTable = (family: IpFamily) => Promise<MulticastTable>;

/**
 * The routing table of one family, and the routes that shall be in it. It is taken when the first route comes and left to others after
 * the last: a host without such relays can run any other multicast router.
 */
export class KernelTable {
  readonly family: IpFamily;
  readonly #open: OpenTable;
  readonly #log: Logger;
  readonly #wanted = new Map<string, MulticastRoute>();
  #table: MulticastTable | undefined;

  constructor(family: IpFamily, open: OpenTable, log: Logger) {
    this.family = family;
    this.#open = open;
    this.#log = log;
  }

  /** @returns one per change: null, or why it was not made */
  async change(changes: readonly RouteChange[]): Promise<readonly (RouteFailure | null)[]> {
    if (changes.length === 0) return [];
    if (this.#table === undefined) {
      try {
        this.#table = await this.#open(this.family);
      } catch (thrown) {
        const failure = failureOf(thrown);
        return changes.map(() => failure);
      }
    }
    const outcomes = await this.#table.apply(changes);
    for (const [index, { action, route }] of changes.entries()) {
      if (outcomes[index] !== null) continue;
      if (action === 'set') this.#wanted.set(routeKey(route), route);
      if (action === 'remove') this.#wanted.delete(routeKey(route));
    }
    return outcomes;
  }

  /** Leaves the table to others if no route shall be in it. */
  async release(): Promise<void> {
    if (this.#wanted.size === 0) await this.close();
  }

  /** What the kernel has, by key; undefined if it does not say. What is not as it shall be is mended: another program did that, or an interface went and came. */
  async read(): Promise<ReadonlyMap<string, KernelRoute> | undefined> {
    if (this.#table === undefined) return new Map();
    let content: TableContent;
    try {
      content = await this.#table.read();
    } catch (err) {
      // What else the data plane does goes on.
      this.#log.error({ err, family: this.family }, 'cannot read the multicast routes from the kernel');
      return undefined;
    }
    const { routes, cutOff } = content;
    const found = new Map(routes.map((route) => [routeKey(route), route]));
    const cut = new Set(cutOff.map(routeKey));
    // They wait for their interface, or for the agent to say that it is gone.
    const again = [...this.#wanted.values()].filter((route) => cut.has(routeKey(route)));
    await this.#table.apply(again.map((route) => ({ action: 'set', route })));
    const lost = [...this.#wanted].flatMap(([key, route]) =>
      cut.has(key) || isAsWanted(route, found.get(key)) ? [] : [route],
    );
    if (lost.length > 0) await this.#restore(this.#table, lost);
    return found;
  }

  async close(): Promise<void> {
    await this.#table?.close();
    this.#table = undefined;
  }

  async #restore(table: MulticastTable, routes: readonly MulticastRoute[]): Promise<void> {
    // The native part writes nothing that it has written already.
    const changes = routes.flatMap((route): RouteChange[] => [
      { action: 'remove', route },
      { action: 'set', route },
    ]);
    const failure = (await table.apply(changes)).find((outcome) => outcome !== null);
    const what = { family: this.family, routes: routes.slice(0, 5).map(routeKey), count: routes.length };
    if (failure === undefined) this.#log.warn(what, 'restored multicast routes that another program had changed');
    else this.#log.error({ ...what, ...failure }, 'cannot restore multicast routes that another program has changed');
  }
}

function failureOf(thrown: unknown): RouteFailure {
  if (!(thrown instanceof Error) || !('code' in thrown)) throw thrown;
  return { errno: String(thrown.code), message: thrown.message };
}
