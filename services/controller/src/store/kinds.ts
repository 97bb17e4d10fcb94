import { Host } from '@mcfleet/proto/mcfleet/v1/host';
import { Relay } from '@mcfleet/proto/mcfleet/v1/relay';
import { inputKey } from '../resolve/conflict.ts';
import { resolveRelay } from '../resolve/resolve-relay.ts';
import { Table } from './table.ts';

/** What the store keeps, by kind. */
export interface Objects {
  readonly relay: Relay;
  readonly host: Host;
}

/** A kind of object. Keys are the names without their collection: "camera-7". */
export type Kind = keyof Objects;

/** How each kind is written, and how many there may be: bounds of memory, far above what is planned for (10,000 and 5,000). */
export const KINDS = {
  relay: { codec: Relay, limit: 100_000 },
  host: { codec: Host, limit: 50_000 },
} as const;

/** Index of relays by the names in their host selector. */
export const BY_HOST_NAME = 'host-name';
/** Index of relays with labels in their host selector, all under the key "". */
export const BY_LABELS = 'labels';
/** Index of relays by interface and group of their input: only relays under the same key can conflict. */
export const BY_INPUT = 'input';

/** The tables of a store. */
export type Tables = { readonly [K in Kind]: Table<Objects[K]> };

/** Empty tables with the indexes that placing relays needs. */
export function createTables(): Tables {
  return {
    relay: new Table<Relay>({
      [BY_HOST_NAME]: (relay) => relay.spec?.hosts?.names ?? [],
      [BY_LABELS]: (relay) => (Object.keys(relay.spec?.hosts?.matchLabels ?? {}).length > 0 ? [''] : []),
      [BY_INPUT]: (relay) => [inputKey(resolveRelay(relay).relay)],
    }),
    host: new Table<Host>(),
  };
}
