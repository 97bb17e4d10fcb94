import { type Condition, ConditionStatus } from '@mcfleet/proto/mcfleet/v1/common';

/** A condition as it is seen now, before it is known since when. */
export type Observation = Omit<Condition, 'lastTransitionTime'>;

/** Makes conditions of observations. The time moves only when a status does, so that "not ready since" can be read off it. */
export function atTransition(
  observations: readonly Observation[],
  previous: readonly Condition[] | undefined,
  now: Date,
): Condition[] {
  return observations.map((observation) => {
    const before = previous?.find(({ type }) => type === observation.type);
    const lastTransitionTime = before?.status === observation.status ? before.lastTransitionTime : now;
    return { ...observation, lastTransitionTime };
  });
}

/** The condition status of a fact; undefined if it cannot be told. */
export function statusOf(holds: boolean | undefined): ConditionStatus {
  if (holds === undefined) return ConditionStatus.UNKNOWN;
  return holds ? ConditionStatus.TRUE : ConditionStatus.FALSE;
}

/** A reason as conditions write it: agents send CamelCase, gRPC reasons are UPPER_SNAKE_CASE. */
export function camelCase(reason: string): string {
  if (!/^[A-Z0-9]+(_[A-Z0-9]+)*$/.test(reason) || reason === '') return reason;
  return reason.replace(/([A-Z0-9])([A-Z0-9]*)_?/g, (_, head: string, rest: string) => head + rest.toLowerCase());
}
