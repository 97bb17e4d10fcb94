import type { End, Stream } from './prober-protocol.ts';
import type { Stage } from './stage.ts';

/** What a relay is to do. */
export interface RelayPlan {
  readonly streams: readonly PlannedStream[];
  /** IPv4 or IPv6. */
  readonly family: 4 | 6;
  /** True: each copy leaves by an interface of its own. Otherwise all leave by one, where the relay can. */
  readonly spread: boolean;
  /** Further relays on the same input that get no packets. */
  readonly idleRelays: number;
  /** The relay's host has rules of its own for what it sends (nftables), which let all of it pass. */
  readonly hostRules: boolean;
  /** Only for mcfleet: options of its data plane, for example ["--busy-poll-us", "200"]. */
  readonly options: readonly string[];
}

export interface PlannedStream {
  readonly input: Stream;
  /** Where each copy goes, as asked: groups, or the sink's address. An engine that cannot rewrite keeps the input's group and port. */
  readonly outputs: readonly Stream[];
}

export const engineNames = ['mcfleet', 'mcfleet-kernel', 'socat', 'socat-tuned', 'kernel-mfc'] as const;
export type EngineName = (typeof engineNames)[number];

/** Where one copy of one stream arrives. */
export interface OutputEnd extends End {
  /** Which stream of the plan. */
  readonly stream: number;
}

/** A relay that works. */
export interface RunningRelay extends AsyncDisposable {
  /** Its processes; empty if only the kernel forwards. */
  readonly pids: readonly number[];
  /** Where the sink has to listen to hear each copy of each stream. */
  readonly ends: readonly OutputEnd[];
  /** For people: how it was set up, what it reports about itself. */
  readonly note: string;
  /** Bytes of the receive rings that its resident memory includes. */
  readonly ringBytes: number;
  /** From the request to the packet path using it; only mcfleet. */
  readonly applyMs: number | null;
  /** Changes one relay that gets no packets, and gives the milliseconds from the request to the packet path using it; only mcfleet, if its plan has such a relay. */
  readonly change: (() => Promise<number>) | null;
  /**
   * After packets: what shows that it did not work as its plan asks, for example that one of two workers forwarded nothing; `undefined` if
   * all is as asked. Omitted: it has no such way to work.
   */
  readonly fault?: () => Promise<string | undefined>;
}

/** Thrown by `Engine.start`: what was started says itself that it cannot do this. */
export class NotOffered extends Error {}

/** A relay that a plan can be given to. */
export interface Engine {
  readonly name: EngineName;
  /** Cables to the sink that a plan needs. */
  outputsFor(plan: RelayPlan): number;
  /** Why it cannot do this; `undefined` if it can. */
  obstacle(plan: RelayPlan): Promise<string | undefined>;
  /** @throws NotOffered if that only shows when it runs. */
  start(stage: Stage, plan: RelayPlan): Promise<RunningRelay>;
}
