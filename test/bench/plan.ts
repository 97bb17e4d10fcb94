import type { PlannedStream, RelayPlan } from './engine.ts';

/** What differs from one IPv4 stream with one copy. */
export interface PlanOptions {
  readonly streams?: number;
  readonly family?: 4 | 6;
  readonly copies?: number;
  readonly spread?: boolean;
  readonly idleRelays?: number;
  readonly options?: readonly string[];
  readonly unicast?: boolean;
  readonly hostRules?: boolean;
}

/** The sink, by the first cable. */
const SINK_ADDRESS = '10.0.1.2';

/**
 * Streams to groups 239.1.1.1 or ff15::1:1 and up; each copy to a group of its own, on one interface where the relay can, or to a port
 * of the sink's.
 */
export function plan(asked: PlanOptions = {}): RelayPlan {
  const { streams = 1, copies = 1, family = 4, spread = false, idleRelays = 0, options = [] } = asked;
  const { unicast = false, hostRules = false } = asked;
  const input = (stream: number): string => (family === 4 ? `239.1.1.${stream}` : `ff15::1:${stream}`);
  const output = (stream: number, copy: number): string =>
    family === 4 ? `239.10.${stream}.${copy}` : `ff15::10:${stream}:${copy}`;
  const planned = Array.from(
    { length: streams },
    (_, stream): PlannedStream => ({
      input: { group: input(stream + 1), port: 5001 },
      outputs: Array.from({ length: copies }, (__, copy) =>
        unicast ? { group: SINK_ADDRESS, port: 6001 + copy } : { group: output(stream + 1, copy + 1), port: 6001 },
      ),
    }),
  );
  return { streams: planned, family, spread, idleRelays, options, hostRules };
}
