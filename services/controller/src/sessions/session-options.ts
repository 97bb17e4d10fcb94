/** Intervals and bounds of agent sessions, in milliseconds. */
export interface SessionOptions {
  /** How often agents send heartbeats. Default: 15 s. */
  readonly heartbeatMs: number;
  /** The least time between two batches of counters from one agent; longer where many agents are connected. Default: 1 s. */
  readonly telemetryMs: number;
  /** How long to wait for Hello. Default: 10 s. */
  readonly helloTimeoutMs: number;
  /** How long to wait for the acknowledgement of an update. Default: 60 s. */
  readonly ackTimeoutMs: number;
  /** Changes of intent are collected for this long before they are pushed ... Default: 20 ms. */
  readonly debounceMs: number;
  /** ... but never longer than this. Default: 500 ms. */
  readonly maxDebounceMs: number;
  /** First and longest delay before an update that an agent refused for a passing reason is sent again. Default: 1 s and 60 s. */
  readonly retryMs: number;
  readonly maxRetryMs: number;
  /** An agent under a name that another one has is told to wait for this long before it asks again. Default: 10 s. */
  readonly rivalRetryMs: number;
}

export const DEFAULT_SESSION_OPTIONS: SessionOptions = {
  heartbeatMs: 15_000,
  telemetryMs: 1000,
  helloTimeoutMs: 10_000,
  ackTimeoutMs: 60_000,
  debounceMs: 20,
  maxDebounceMs: 500,
  retryMs: 1000,
  maxRetryMs: 60_000,
  rivalRetryMs: 10_000,
};

/** An agent that is silent for this many heartbeats is taken for gone. */
export const LEASE_HEARTBEATS = 3;

/** A rival that has not asked for this many of its waits is gone. Agents may wait for as long as 30 s. */
export const RIVAL_WAITS = 3.5;
