import { type Condition, ConditionStatus } from '@mcfleet/proto/mcfleet/v1/common';
import { age } from './age.ts';

/** A condition as a sentence: "Ready: no, for 5s (InterfaceNotFound): eth0 is not there". */
export function conditionText(condition: Condition, nowMs: number): string {
  const { type, status, lastTransitionTime, reason, message } = condition;
  const answer = status === ConditionStatus.TRUE ? 'yes' : status === ConditionStatus.FALSE ? 'no' : 'not known';
  const since = lastTransitionTime === undefined ? '' : `, for ${age(lastTransitionTime, nowMs)}`;
  return `${type}: ${answer}${since}${reason === '' ? '' : ` (${reason})`}${message === '' ? '' : `: ${message}`}`;
}
