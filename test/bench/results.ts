import type { Damage } from './damage.ts';
import type { EngineName } from './engine.ts';
import type { Quantiles } from './latency-added.ts';
import type { Requirement } from './must-hold/requirements.ts';
import type { Heard } from './prober-protocol.ts';

/**
 * What `npm run bench -- --json FILE` writes. Rates are packets (datagrams) per second, times microseconds unless the name says otherwise.
 * Fields may be added; a change of one that is there changes the number in `schema`.
 */
export interface BenchReport {
  readonly schema: 'mcfleet-bench/1';
  /** As it was started. */
  readonly command: string;
  /** Of its end; ISO 8601. */
  readonly date: string;
  /** How long it took. */
  readonly seconds: number;
  /** Git commit, with "+changes" if the working tree differs from it. */
  readonly commit: string;
  readonly machine: Machine;
  readonly cases: readonly CaseReport[];
  /** What must hold, judged by these cases. */
  readonly must_hold: readonly Requirement[];
}

export interface Machine {
  readonly kernel: string;
  readonly cpu: string;
  readonly cores: number;
  readonly sender_core: number;
  readonly relay_core: number;
  /** Whether sender and relays ran with real-time priority (SCHED_FIFO). */
  readonly realtime: boolean;
  /** Of one, five and fifteen minutes, as uptime(1) prints them. */
  readonly load_before: readonly number[];
  readonly load_after: readonly number[];
}

export interface CaseReport {
  readonly id: string;
  readonly title: string;
  readonly results: readonly Result[];
}

export type Result = ThroughputResult | LatencyResult | UpkeepResult | OutputFailureResult | Unavailable | Failed;

/** This failed; the run goes on, and ends with status 1. */
export interface Failed {
  readonly kind: 'failed';
  readonly engine: EngineName;
  readonly error: string;
}

/** The reason of what `--quick` does not measure. */
export const LEFT_OUT = 'left out by --quick';

/** This was not measured, and why. */
export interface Unavailable {
  readonly kind: 'not-available';
  readonly engine: EngineName;
  readonly reason: string;
}

/** What disturbed a measurement. */
export interface Disturbance {
  /** Attempts that lost packets, or whose sender fell behind, while others used the machine, and were repeated. */
  readonly repeated: number;
  /** True: the answer rests on an attempt that was disturbed so, however often it was repeated, or the sender alone was. */
  readonly in_the_answer: boolean;
  /** Cores that others used, most of all attempts. */
  readonly foreign_cores: number;
  /** The sender's own rate after the measurement, divided by that before. */
  readonly sender_after_to_before: number;
}

export interface ThroughputResult {
  readonly kind: 'throughput';
  readonly engine: EngineName;
  /** Highest rate into the relay without loss, and what came out of it; 0 if even the lowest lost. */
  readonly in_pps: number;
  readonly out_pps: number;
  /** "sender": the sender can do no more while this relay runs. */
  readonly limited_by: 'relay' | 'sender';
  /** Times that the rate held. */
  readonly confirmed: number;
  readonly attempts: number;
  /** Of the relay's processes per million packets out, work of the kernel on their time included; null if it has none. */
  readonly relay_cpu_seconds_per_million: number | null;
  /** What the sender's core does more per million packets in than without a relay: receiving happens there. */
  readonly sender_cpu_seconds_per_million: number | null;
  /** Sender alone, no relay: packets per second. */
  readonly sender_ceiling_pps: number;
  /** A UDP receiver's judgement of one output under load: order, content, boundaries. */
  readonly checked: Checked;
  /** The same of every output, each by a receiver of its own, at a modest rate; null if there is just one output. */
  readonly each_output: CheckedOutputs | null;
  readonly disturbance: Disturbance;
  /** This engine's out_pps divided by another's, of the same case and run. */
  readonly ratio: Readonly<Partial<Record<EngineName, number>>>;
  readonly note: string;
}

/** What UDP receivers got of one output, while the relay worked at a rate. */
export interface Checked extends CheckedAt {
  /**
   * Where a plain receiver could not follow the rate that was found, and super-frames came: what one got that takes them whole, with the
   * kernel's word on where their datagrams end (UDP_GRO). Otherwise `null`.
   */
  readonly whole: CheckedAt | null;
}

/** What one receiver got, at the highest rate at which nothing was missing. */
export interface CheckedAt extends Heard {
  /** Packets per second that were sent meanwhile, over all streams: the rate that was found, or less (`earlier` tells why). */
  readonly rate: number;
  /** Packets of the stream that was heard. */
  readonly sent: number;
  /** Whether the fingerprint of all payloads (a sum of their SHA-256) was the sender's. */
  readonly same_sha256: boolean;
  /** Copies that did not come to the receiver's interfaces either: it was not its socket that lost them. */
  readonly missing_at_interface: number;
  /** Higher rates that were tried before, at which packets were missing. */
  readonly earlier: readonly CheckAttempt[];
}

export interface CheckAttempt {
  readonly rate: number;
  readonly sent: number;
  readonly received: number;
  /** Lost by the receiver's socket. */
  readonly receiver_drops: number;
  readonly missing_at_interface: number;
}

/** What UDP receivers got of all outputs at once, a receiver for each copy of each stream. */
export interface CheckedOutputs {
  /** Packets per second that were sent of each stream. */
  readonly rate: number;
  readonly outputs: readonly CheckedOutput[];
  /** Datagrams that came to the receivers' interfaces, and that none of the receivers was to get. */
  readonly astray: number;
}

/** What the receiver of one copy got. */
export interface CheckedOutput extends Heard {
  /** Where it listened, and for what. */
  readonly interface: string;
  readonly group: string;
  readonly port: number;
  /** Which stream of the plan belongs there, from 0. */
  readonly stream: number;
  /** Packets of that stream; each has another number of them. */
  readonly sent: number;
  /** Whether the fingerprint of all payloads (a sum of their SHA-256) was that of this stream. */
  readonly same_sha256: boolean;
}

export interface LatencyResult extends Damage {
  readonly kind: 'latency';
  readonly engine: EngineName;
  readonly rate: number;
  /** From the sender's stamp to the kernel's stamp at the receiver's socket; medians over the runs. */
  readonly p50_us: number;
  readonly p99_us: number;
  readonly p999_us: number;
  /** The same without a relay, measured at the relay's input, and the cores that others used meanwhile. */
  readonly without_relay: Quantiles & { readonly foreign_cores: number };
  /** By how much the relay moves each quantile: that with it, minus that without. */
  readonly added: Quantiles;
  /** Packets of these runs, those that did not come to the receiver, and of these the ones that its socket lost. */
  readonly sent: number;
  readonly lost: number;
  readonly receiver_drops: number;
  readonly runs: number;
  readonly foreign_cores: number;
  /** This engine's p50 and p99 divided by another's. */
  readonly ratio_p50: Readonly<Partial<Record<EngineName, number>>>;
  readonly ratio_p99: Readonly<Partial<Record<EngineName, number>>>;
  /** The same of what each of them adds; none where another adds less than can be divided by. */
  readonly ratio_added_p50: Readonly<Partial<Record<EngineName, number>>>;
  readonly ratio_added_p99: Readonly<Partial<Record<EngineName, number>>>;
  readonly note: string;
}

export interface UpkeepResult {
  readonly kind: 'upkeep';
  readonly engine: EngineName;
  readonly unmatched_pps: number;
  /** A stream that is relayed meanwhile, and what of it arrived at a plain UDP receiver; null if there is none. */
  readonly wanted: WantedStream | null;
  /** Part of one core that the relay's processes used. */
  readonly cpu_share: number;
  readonly seconds: number;
  /** Resident memory of the relay's processes, receive rings included. */
  readonly resident_bytes: number;
  readonly ring_bytes: number;
  /** From the request to the packet path using all relays. */
  readonly apply_ms: number | null;
  /** The same of a change of one relay among many, of several changes; null if there are none to change. */
  readonly change_ms: { readonly median: number; readonly most: number } | null;
  readonly foreign_cores: number;
  readonly note: string;
}

/** A stream beside what nobody wants. */
export interface WantedStream extends Damage {
  readonly rate: number;
  readonly sent: number;
  readonly received: number;
}

/** What the other outputs of a relay lose while one fails. */
export interface OutputFailureResult {
  readonly kind: 'output-failure';
  readonly engine: EngineName;
  /** Packets per second into the relay, one copy of each for every output, each by an interface of its own. */
  readonly rate: number;
  /** In this order; an output that has failed stays so. */
  readonly failures: readonly OutputFailure[];
  readonly foreign_cores: number;
  readonly note: string;
}

export interface OutputFailure {
  /** What happened to its interface while packets came. "full": its queue is shaped to less than comes. */
  readonly how: 'down' | 'stripped' | 'full' | 'deleted';
  readonly sent: number;
  /** Outputs that work, the copies that they should send, and those that arrived at their ends. */
  readonly others: number;
  readonly expected: number;
  readonly arrived: number;
  /** Copies that arrived at the end of the one that failed; null if its cable has gone with it. */
  readonly arrived_at_failed: number | null;
  /** Copies that had come to the end of each output, this one too, just before it was made to fail; the fewest of them. */
  readonly arrived_before: number;
  /** Copies that came to the end of each of the others when that was done; the fewest of them. */
  readonly arrived_after: number;
}
