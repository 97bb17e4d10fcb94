import type { Clock, Timer } from '@mcfleet/common/clock';
import type { Logger } from '@mcfleet/common/log';
import { RelayResult } from '@mcfleet/proto/mcfleet/v1/agent_service';
import { Host } from '@mcfleet/proto/mcfleet/v1/host';
import { Relay, RelayInstance } from '@mcfleet/proto/mcfleet/v1/relay';
import type { Observation, ObservationKind, ObservationWrite } from '../store/observations.ts';
import type { Fleet } from './fleet.ts';

/** How long changes are collected, in milliseconds: what a controller that is killed forgets at most. */
const COLLECT_MS = 2000;
/** The most keys that are written in one turn of the event loop, and one transaction. */
const MAX_PER_TURN = 500;
/** How often it is kept when connected hosts were last heard of, which changes all the time, in milliseconds. */
const LAST_SEEN_MS = 60_000;
/** When to try again after a write that failed, in milliseconds. */
const RETRY_MS = 30_000;

export interface KeeperParts {
  readonly fleet: Fleet;
  /** Keeps and forgets, all or nothing; throws if it cannot. */
  readonly save: (writes: readonly ObservationWrite[]) => void;
  readonly clock: Clock;
  readonly log: Logger;
}

type Kind = Exclude<ObservationKind, 'result'>;
const KINDS: readonly Kind[] = ['host', 'relay', 'instance'];

/**
 * Keeps what is known of hosts and relays, so that the next controller can tell it of hosts that are not connected. Written when it
 * changes, a key at most once in two seconds; never with heartbeats or counters.
 */
export class Keeper {
  readonly #parts: KeeperParts;
  readonly #changed: Readonly<Record<Kind, Set<string>>>;
  readonly #unsubscribe: readonly (() => void)[];
  #lastSeen: Timer | undefined;
  #timer: Timer | undefined;

  /** @param observed what the controller before kept; not held on to */
  constructor(parts: KeeperParts, observed: readonly Observation[]) {
    this.#parts = parts;
    const { fleet } = parts;
    this.#changed = { host: new Set(), relay: new Set(), instance: new Set() };
    // What is shown of it now may be another thing: the host is no longer connected, the relay was deleted in between.
    for (const { kind, key, value } of observed) {
      const about = kind === 'result' ? 'instance' : kind;
      const now = this.#writesOf(about, key).find((write) => write.kind === kind)?.value;
      if (now === undefined || Buffer.compare(now, value) !== 0) this.#changed[about].add(key);
    }
    this.#unsubscribe = [
      fleet.hosts.onChange(({ key }) => this.#note('host', key)),
      fleet.relays.onChange(({ key }) => this.#note('relay', key)),
      fleet.instances.onChange(({ key }) => this.#note('instance', key)),
    ];
    this.#schedule(COLLECT_MS);
    this.#awaitLastSeen();
  }

  /** Keeps what is known now. To be called before the store is closed. */
  close(): void {
    const { fleet, log } = this.#parts;
    for (const board of [fleet.hosts, fleet.relays, fleet.instances]) board.settle();
    for (const stop of this.#unsubscribe) stop();
    for (const timer of [this.#timer, this.#lastSeen]) timer?.clear();
    this.#noteConnected();
    try {
      while (this.#saveSome());
    } catch (err) {
      log.warn({ err }, 'what hosts last said could not be kept; they tell it again when they connect');
    }
  }

  #note(kind: Kind, key: string): void {
    this.#changed[kind].add(key);
    this.#schedule(COLLECT_MS);
  }

  #schedule(ms: number): void {
    this.#timer ??= this.#parts.clock.setTimeout(() => this.#flush(), ms);
  }

  #awaitLastSeen(): void {
    this.#lastSeen = this.#parts.clock.setTimeout(() => {
      this.#noteConnected();
      this.#schedule(COLLECT_MS);
      this.#awaitLastSeen();
    }, LAST_SEEN_MS);
  }

  #noteConnected(): void {
    const { fleet } = this.#parts;
    for (const key of fleet.store.tables.host.sortedKeys()) {
      if (fleet.hostFacts(key).connected) this.#changed.host.add(key);
    }
  }

  #flush(): void {
    this.#timer = undefined;
    try {
      if (this.#saveSome()) this.#schedule(0);
    } catch (err) {
      this.#parts.log.warn({ err, retry_ms: RETRY_MS }, 'what hosts say cannot be kept over a restart');
      this.#schedule(RETRY_MS);
    }
  }

  /** Writes a part of what changed. True if there is more. */
  #saveSome(): boolean {
    const some: { readonly kind: Kind; readonly key: string }[] = [];
    for (const kind of KINDS) {
      for (const key of this.#changed[kind]) {
        if (some.length === MAX_PER_TURN) break;
        some.push({ kind, key });
      }
    }
    if (some.length === 0) return false;
    this.#parts.save(some.flatMap(({ kind, key }) => this.#writesOf(kind, key)));
    for (const { kind, key } of some) this.#changed[kind].delete(key);
    this.#parts.log.debug({ observations: some.length }, 'kept what is known of hosts and relays');
    return KINDS.some((kind) => this.#changed[kind].size > 0);
  }

  #writesOf(kind: Kind, key: string): ObservationWrite[] {
    const { fleet } = this.#parts;
    if (kind === 'host') {
      const shown = fleet.hosts.peek(key);
      return [{ kind, key, value: shown && Host.encode(withLastSeen(shown, fleet.lastSeen(key))).finish() }];
    }
    if (kind === 'relay') {
      const shown = fleet.relays.peek(key);
      return [{ kind, key, value: shown && Relay.encode({ ...shown, spec: undefined }).finish() }];
    }
    const shown = fleet.instances.peek(key);
    const result = shown && fleet.resultOf(shown);
    return [
      { kind, key, value: shown && RelayInstance.encode(shown).finish() },
      { kind: 'result', key, value: result && RelayResult.encode(result).finish() },
    ];
  }
}

function withLastSeen(host: Host, lastSeenTime: Date | undefined): Host {
  return host.status === undefined ? host : { ...host, status: { ...host.status, lastSeenTime } };
}
