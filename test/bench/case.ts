import type { EngineName, RelayPlan } from './engine.ts';

/** A way of using a relay whose highest rate without loss is looked for. */
export interface ThroughputCase {
  readonly kind: 'throughput';
  readonly id: string;
  readonly title: string;
  /** UDP payload in bytes. */
  readonly size: number;
  /**
   * How packets reach the relay's input, from a sender that hands many to the kernel at once. "single": the kernel cuts them apart before.
   * "super": they arrive as one frame, as from a device that cuts them apart (USO), or by receive offload.
   */
  readonly arriving: 'single' | 'super';
  /** Packets that the sender hands to the kernel at once, as far as one send holds them. */
  readonly perSend: number;
  /** Whether the output devices cut super-frames apart. */
  readonly outputSegmentation: boolean;
  readonly plan: RelayPlan;
  readonly engines: readonly EngineName[];
  /** The relays that `--quick` measures. */
  readonly quick: readonly EngineName[];
}

/** Latency that a relay adds at a rate. */
export interface LatencyCase {
  readonly kind: 'latency';
  readonly id: string;
  readonly title: string;
  readonly rate: number;
  readonly plan: RelayPlan;
  readonly engines: readonly EngineName[];
  readonly quick: readonly EngineName[];
}

/** What a relay uses while it relays little or nothing. */
export interface UpkeepCase {
  readonly kind: 'upkeep';
  readonly id: string;
  readonly title: string;
  /** Packets per second on the input that no relay wants. */
  readonly unmatchedRate: number;
  /** Packets per second of the plan's stream meanwhile. */
  readonly wantedRate: number;
  readonly plan: RelayPlan;
  readonly engines: readonly EngineName[];
  readonly quick: readonly EngineName[];
}

/** What other outputs lose while one fails, in all ways one after the other. */
export interface OutputFailureCase {
  readonly kind: 'output-failure';
  readonly id: string;
  readonly title: string;
  readonly rate: number;
  readonly plan: RelayPlan;
  readonly engines: readonly EngineName[];
  readonly quick: readonly EngineName[];
}

export type BenchCase = ThroughputCase | LatencyCase | UpkeepCase | OutputFailureCase;
