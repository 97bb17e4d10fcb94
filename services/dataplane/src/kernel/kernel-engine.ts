import type { Clock } from '@mcfleet/common/clock';
import type { IpFamily, MulticastRoute, RelayCounts, RelayRefusal, RouteChange, RouteFailure } from '@mcfleet/native';
import type { Logger } from 'pino';
import { KernelTable, type OpenTable } from './kernel-table.ts';
import { RelayCounter } from './relay-counter.ts';
import { RouteClaims } from './route-claims.ts';
import { kernelRefusal, routeTaken } from './route-refusal.ts';
import { type KernelRelay, routeKey } from './routes.ts';

export interface KernelEngineParts {
  readonly open: OpenTable;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Relays that the kernel's multicast forwarding cache forwards. Each is programmed whole or refused, and then stays as it was. One caller
 * at a time.
 */
export class KernelEngine {
  readonly #clock: Clock;
  readonly #tables: Readonly<Record<IpFamily, KernelTable>>;
  readonly #claims = new RouteClaims();
  readonly #relays = new Map<string, { relay: KernelRelay; readonly counter: RelayCounter }>();

  constructor({ open, clock, log }: KernelEngineParts) {
    this.#clock = clock;
    this.#tables = { 4: new KernelTable(4, open, log), 6: new KernelTable(6, open, log) };
  }

  has(uid: string): boolean {
    return this.#relays.has(uid);
  }

  /** @returns those that were refused */
  async apply(upserts: readonly KernelRelay[], removedUids: readonly string[]): Promise<readonly RelayRefusal[]> {
    await this.#remove(removedUids);
    const refusals: RelayRefusal[] = [];
    const admitted: KernelRelay[] = [];
    for (const relay of upserts) {
      const conflict = this.#claims.conflict(relay);
      if (conflict === undefined) {
        // Beside those of its old program, which it may have to go on with.
        this.#claims.add(relay);
        admitted.push(relay);
      } else {
        refusals.push(routeTaken(relay, conflict));
      }
    }
    for (const family of [4, 6] as const) {
      const relays = admitted.filter((relay) => relay.family === family);
      refusals.push(...(await this.#program(this.#tables[family], relays)));
    }
    await this.#tables[4].release();
    await this.#tables[6].release();
    return refusals;
  }

  /** Reads what the kernel counts, and mends what is not as it shall be. */
  async refresh(): Promise<void> {
    const found = { 4: await this.#tables[4].read(), 6: await this.#tables[6].read() };
    const now = this.#clock.now();
    for (const { relay, counter } of this.#relays.values()) {
      const routes = found[relay.family];
      if (routes !== undefined) counter.take(routes, now);
    }
  }

  /** Uids of the relays of which snapshot() tells something else than at the last call of this. For one caller. */
  changes(): readonly string[] {
    return [...this.#relays].flatMap(([uid, { counter }]) => (counter.takeChanged() ? [uid] : []));
  }

  /** As of the last refresh; of relays that it does not have, nothing. */
  snapshot(uids: readonly string[]): readonly RelayCounts[] {
    return uids.flatMap((uid) => this.#relays.get(uid)?.counter.counts() ?? []);
  }

  async close(): Promise<void> {
    await this.#tables[4].close();
    await this.#tables[6].close();
  }

  async #remove(uids: readonly string[]): Promise<void> {
    for (const family of [4, 6] as const) {
      const relays = uids.flatMap((uid) => this.#relays.get(uid)?.relay ?? []).filter((one) => one.family === family);
      const outcomes = await this.#tables[family].change(relays.flatMap(({ routes }) => undo(routes)));
      throwIfAny(outcomes);
      for (const relay of relays) {
        this.#claims.delete(relay);
        this.#relays.delete(relay.uid);
      }
    }
  }

  async #program(table: KernelTable, relays: readonly KernelRelay[]): Promise<readonly RelayRefusal[]> {
    const outcomes = await table.change(relays.flatMap(({ routes }) => make(routes)));
    const refusals: RelayRefusal[] = [];
    let at = 0;
    for (const relay of relays) {
      const own = outcomes.slice(at, at + 2 * relay.routes.length);
      at += own.length;
      const failure = own.find((outcome) => outcome !== null);
      if (failure === undefined || failure === null) {
        await this.#adopt(relay);
      } else {
        await this.#rollBack(table, relay, own);
        refusals.push(kernelRefusal(relay, failure));
      }
    }
    return refusals;
  }

  /** The routes of a relay are made: those of its old program go. */
  async #adopt(relay: KernelRelay): Promise<void> {
    const now = this.#clock.now();
    const entry = this.#relays.get(relay.uid);
    if (entry === undefined) {
      this.#relays.set(relay.uid, { relay, counter: new RelayCounter(relay, now) });
      return;
    }
    const old = entry.relay;
    const keys = new Set(old.family === relay.family ? relay.routes.map(routeKey) : []);
    const changes = undo(old.routes).filter(({ action, route }) => action === 'leave' || !keys.has(routeKey(route)));
    this.#claims.delete(old);
    this.#claims.add(relay);
    entry.relay = relay;
    entry.counter.change(relay, now);
    throwIfAny(await this.#tables[old.family].change(changes));
  }

  /** Takes back what could be made, so that the old program goes on, if there is one. */
  async #rollBack(table: KernelTable, relay: KernelRelay, outcomes: readonly (RouteFailure | null)[]): Promise<void> {
    const old = this.#relays.get(relay.uid)?.relay;
    const before = new Map(old?.family === relay.family ? old.routes.map((route) => [routeKey(route), route]) : []);
    const changes = make(relay.routes)
      .filter((_, index) => outcomes[index] === null)
      .map(({ action, route }): RouteChange => {
        if (action === 'join') return { action: 'leave', route };
        const replaced = before.get(routeKey(route));
        return replaced === undefined ? { action: 'remove', route } : { action: 'set', route: replaced };
      });
    this.#claims.delete(relay);
    if (old !== undefined) this.#claims.add(old);
    throwIfAny(await table.change(changes));
  }
}

function make(routes: readonly MulticastRoute[]): RouteChange[] {
  return routes.flatMap((route): RouteChange[] => [
    { action: 'join', route },
    { action: 'set', route },
  ]);
}

function undo(routes: readonly MulticastRoute[]): RouteChange[] {
  return routes.flatMap((route): RouteChange[] => [
    { action: 'remove', route },
    { action: 'leave', route },
  ]);
}

/** The kernel refuses to take back what it took: nothing of that is the caller's fault. */
function throwIfAny(outcomes: readonly (RouteFailure | null)[]): void {
  const failure = outcomes.find((outcome) => outcome !== null);
  if (failure !== undefined && failure !== null) throw new Error(failure.message);
}
