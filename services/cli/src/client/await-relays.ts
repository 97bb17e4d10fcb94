import { status } from '@grpc/grpc-js';
import { FleetError } from '@mcfleet/common/error';
import { callUnary } from '@mcfleet/common/grpc/client';
import { ChangeType } from '@mcfleet/proto/mcfleet/v1/common';
import type { Relay } from '@mcfleet/proto/mcfleet/v1/relay';
import type { Connection } from './connection.ts';
import { listRelays } from './list-all.ts';
import { watch } from './watch.ts';
import { relaySource } from './watch-sources.ts';

/** From this many on, relays are read all together. */
const fewRelays = 20;

/** A relay that is waited for. */
export interface Awaited {
  /** "relays/{relay}". */
  readonly name: string;
  /** What it shall be. `relay` is undefined if there is none (any more). */
  isReached(relay: Relay | undefined): boolean;
}

export interface AwaitOptions {
  readonly timeoutMs: number;
  /** Told of each relay when it is as it shall be. */
  onReached(name: string): void;
  /** Told when the connection broke; it is made again. */
  onBreak(error: FleetError): void;
}

/**
 * Waits until every relay is as it shall be. All are read once, after the place in the history where the watch begins, so no change
 * falls between the two.
 *
 * @returns the last known state of those that were not reached in time, empty if all were
 */
export async function awaitRelays(
  connection: Connection,
  awaited: readonly Awaited[],
  options: AwaitOptions,
): Promise<ReadonlyMap<string, Relay | undefined>> {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), options.timeoutMs);
  const wanted = new Map(awaited.map((one) => [one.name, one]));
  const last = new Map<string, Relay | undefined>(awaited.map(({ name }) => [name, undefined]));
  const take = (name: string, relay: Relay | undefined): void => {
    if (!last.has(name)) return;
    last.set(name, relay);
    if (wanted.get(name)?.isReached(relay) !== true) return;
    last.delete(name);
    options.onReached(name);
  };
  const readAll = async (): Promise<void> => {
    const names = [...last.keys()];
    if (names.length < fewRelays) {
      for (const name of names) take(name, await readRelay(connection, name));
      return;
    }
    const found = new Map((await listRelays(connection, {})).relays.map((relay) => [relay.name, relay]));
    for (const name of names) take(name, found.get(name));
  };
  try {
    const { resumeToken } = await connection.call((call) =>
      callUnary(connection.relays, 'listRelays', { pageSize: 1, pageToken: '', labelSelector: {} }, call),
    );
    await readAll();
    if (last.size === 0) return last;
    const source = relaySource(connection, {});
    for await (const item of watch(connection, source, abort.signal, options.onBreak, resumeToken)) {
      // Everything had to be told anew: what is not there by now has gone meanwhile.
      if (item.kind === 'synced') await readAll();
      else take(item.change.object.name, item.change.type === ChangeType.DELETED ? undefined : item.change.object);
      if (last.size === 0) return last;
    }
    return last;
  } finally {
    clearTimeout(timer);
    abort.abort();
  }
}

/** The relay, or undefined if there is none. */
export async function readRelay(connection: Connection, name: string): Promise<Relay | undefined> {
  try {
    return await connection.call((call) => callUnary(connection.relays, 'getRelay', { name }, call));
  } catch (thrown) {
    const error = FleetError.from(thrown);
    if (error.code === status.NOT_FOUND) return undefined;
    throw error;
  }
}
