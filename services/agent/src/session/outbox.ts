import {
  type AgentMessage,
  type ConfigStatus,
  type Heartbeat,
  type Inventory,
  RelayResult,
  type TelemetryBatch,
} from '@mcfleet/proto/mcfleet/v1/agent_service';
import { InstanceState } from '@mcfleet/proto/mcfleet/v1/relay';
import { ITEM_OVERHEAD, inBatches, MAX_MESSAGE_BYTES } from './batches.ts';

type Body = NonNullable<AgentMessage['body']>;

/** Where an outbox gets the newest of what it shall tell. */
export interface OutboxSource {
  /** Without the time of the counters. */
  readonly heartbeat: () => Omit<Heartbeat, 'countersTimeUnixNano'>;
  readonly inventory: () => Inventory;
  /** What a relay is now; undefined if it is not assigned any more. */
  readonly result: (uid: string) => RelayResult | undefined;
}

/**
 * What a session still has to tell its controller. For each kind only the fact that there is something new is kept, and the newest
 * is taken when its turn comes: a controller that reads slowly gets fewer messages, never older ones, and nothing piles up.
 *
 * Bounds: answers to updates by the one update in flight, reports by the relays of the host, telemetry by one round.
 */
export class Outbox {
  readonly #source: OutboxSource;
  #statuses: ConfigStatus[] = [];
  #heartbeat = false;
  #inventory = false;
  #reports = new Set<string>();
  #telemetry: TelemetryBatch[] = [];
  /** When the counters of the last round were read, and of the last one that has all been sent. */
  #readUnixNano = 0n;
  #toldUnixNano = 0n;
  #wake: (() => void) | undefined;

  constructor(source: OutboxSource) {
    this.#source = source;
  }

  addStatus(configStatus: ConfigStatus): void {
    this.#statuses.push(configStatus);
    this.#wake?.();
  }

  addHeartbeat(): void {
    this.#heartbeat = true;
    this.#wake?.();
  }

  addInventory(): void {
    this.#inventory = true;
    this.#wake?.();
  }

  addReports(uids: Iterable<string>): void {
    for (const uid of uids) this.#reports.add(uid);
    this.#wake?.();
  }

  /** Whether the telemetry of the round before has all been sent. If not, this round is left out. */
  get wantsTelemetry(): boolean {
    return this.#telemetry.length === 0;
  }

  /** Adds a round, without batches if nothing changed since the one before. */
  addTelemetry(batches: readonly TelemetryBatch[], readUnixNano: bigint): void {
    this.#telemetry.push(...batches);
    this.#readUnixNano = readUnixNano;
    if (this.wantsTelemetry) this.#toldUnixNano = readUnixNano;
    this.#wake?.();
  }

  /** The next thing to tell, in order of urgency; undefined if there is none. */
  take(): Body | undefined {
    const configStatus = this.#statuses.shift();
    if (configStatus !== undefined) return { $case: 'configStatus', value: this.#trimmed(configStatus) };
    if (this.#heartbeat) {
      this.#heartbeat = false;
      return { $case: 'heartbeat', value: { ...this.#source.heartbeat(), countersTimeUnixNano: this.#toldUnixNano } };
    }
    const results = this.#takeReports();
    if (results.length > 0) return { $case: 'instanceReport', value: { results } };
    if (this.#inventory) {
      this.#inventory = false;
      return { $case: 'inventory', value: this.#source.inventory() };
    }
    const telemetry = this.#telemetry.shift();
    if (telemetry === undefined) return undefined;
    if (this.wantsTelemetry) this.#toldUnixNano = this.#readUnixNano;
    return { $case: 'telemetry', value: telemetry };
  }

  /** With as many results as fit into one message, refused ones first. The others are reported after it. */
  #trimmed(configStatus: ConfigStatus): ConfigStatus {
    const refused = (result: RelayResult): boolean => result.state === InstanceState.FAILED;
    const { results } = configStatus;
    const ordered = [...results.filter(refused), ...results.filter((result) => !refused(result))];
    const [first = [], ...rest] = inBatches(ordered, (result) => RelayResult.encode(result).finish().length);
    if (rest.length === 0) return configStatus;
    for (const result of rest.flat()) this.#reports.add(result.uid);
    return { ...configStatus, results: first };
  }

  /** As many relays as fit into one message. */
  #takeReports(): RelayResult[] {
    const results: RelayResult[] = [];
    let bytes = 0;
    for (const uid of this.#reports) {
      const result = this.#source.result(uid);
      const size = result === undefined ? 0 : RelayResult.encode(result).finish().length + ITEM_OVERHEAD;
      if (results.length > 0 && bytes + size > MAX_MESSAGE_BYTES) break;
      this.#reports.delete(uid);
      if (result !== undefined) results.push(result);
      bytes += size;
    }
    return results;
  }

  /** Resolves when something was added. For one waiter. */
  filled(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    return promise;
  }
}
