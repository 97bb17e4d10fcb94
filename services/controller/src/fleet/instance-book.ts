import type { RelayResult } from '@mcfleet/proto/mcfleet/v1/agent_service';
import { InstanceState, type RelayCounters } from '@mcfleet/proto/mcfleet/v1/relay';

/** What a host last said of one relay. */
export interface InstanceRecord {
  /** The generation that it carries out; 0 if none. */
  readonly appliedGeneration: bigint;
  /** The generation of its last answer, a refusal too. */
  readonly answeredGeneration: bigint;
  /** Its last answer; undefined if the host is only known to hold the relay. */
  readonly result: RelayResult | undefined;
  readonly counters: RelayCounters | undefined;
  /** When these were read. */
  readonly countersTime: Date | undefined;
  /** Whether the host goes on reading them, and would tell in this session if they changed. */
  readonly isCounted: boolean;
}

const NOTHING: InstanceRecord = {
  appliedGeneration: 0n,
  answeredGeneration: 0n,
  result: undefined,
  counters: undefined,
  countersTime: undefined,
  isCounted: false,
};

/** What hosts said of their relays. Bounded by the relays that are placed, because `retain` drops the others. */
export class InstanceBook {
  readonly #hosts = new Map<string, Map<string, InstanceRecord>>();

  get(host: string, uid: string): InstanceRecord | undefined {
    return this.#hosts.get(host)?.get(uid);
  }

  /** Takes in what was known when the controller last ran. */
  restore(host: string, uid: string, record: InstanceRecord): void {
    this.#set(host, uid, record);
  }

  /** The host said on connecting that it holds this generation. */
  noteHeld(host: string, uid: string, generation: bigint): void {
    const record = this.get(host, uid) ?? NOTHING;
    if (record.answeredGeneration === generation) return;
    this.#set(host, uid, { ...record, answeredGeneration: generation, result: undefined });
  }

  /** The host answered for a relay, or reported on it. */
  noteResult(host: string, result: RelayResult): void {
    if (result.removed) {
      this.#hosts.get(host)?.delete(result.uid);
      return;
    }
    const record = this.get(host, result.uid) ?? NOTHING;
    const { generation, state } = result;
    const appliedGeneration = isApplied(state) ? generation : record.appliedGeneration;
    this.#set(host, result.uid, { ...record, appliedGeneration, answeredGeneration: generation, result });
  }

  noteCounters(host: string, uid: string, counters: RelayCounters, time: Date): void {
    this.#set(host, uid, { ...(this.get(host, uid) ?? NOTHING), counters, countersTime: time, isCounted: true });
  }

  /**
   * The host no longer reads the counters of a relay, or, without `uid`, a new session of it is to tell which it reads.
   *
   * @param until when they were read last, if that is later than when they were told
   */
  noteUncounted(host: string, until: Date | undefined, uid?: string): void {
    const uids = uid === undefined ? [...(this.#hosts.get(host)?.keys() ?? [])] : [uid];
    for (const each of uids) {
      const record = this.get(host, each);
      if (record?.isCounted !== true) continue;
      this.#set(host, each, { ...record, countersTime: countersTimeOf(record, until), isCounted: false });
    }
  }

  /** Forgets the relays of a host that are not among `uids`. */
  retain(host: string, uids: { has(uid: string): boolean }): void {
    const records = this.#hosts.get(host);
    for (const uid of records?.keys() ?? []) if (!uids.has(uid)) records?.delete(uid);
    if (records?.size === 0) this.#hosts.delete(host);
  }

  #set(host: string, uid: string, record: InstanceRecord): void {
    const records = this.#hosts.get(host);
    if (records === undefined) this.#hosts.set(host, new Map([[uid, record]]));
    else records.set(uid, record);
  }
}

/**
 * When the counters of a relay were last read.
 *
 * @param until when its host last read counters and told of all that changed
 */
export function countersTimeOf(record: InstanceRecord | undefined, until: Date | undefined): Date | undefined {
  const told = record?.countersTime;
  if (record?.isCounted !== true || told === undefined || until === undefined) return told;
  return until > told ? until : told;
}

/** Whether a host that says this carries the generation out: it forwards, or waits for its interface. */
function isApplied(state: InstanceState): boolean {
  return state === InstanceState.READY || state === InstanceState.DEGRADED || state === InstanceState.PENDING;
}
