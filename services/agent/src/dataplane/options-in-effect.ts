import { type ForwarderOptions, formatForwarderOptions, formatMulticastTable } from '@mcfleet/native';
import { type Condition, ConditionStatus } from '@mcfleet/proto/mcfleet/v1/common';
import type { StatusResponse } from '@mcfleet/proto/mcfleet/v1/dataplane_service';

/**
 * The host's condition while a data plane runs with other options than the agent has for it, because it ran before the agent came;
 * undefined if they are the same, or the data plane does not tell them. The agent never ends a data plane that forwards.
 */
export function otherOptions(
  wanted: Required<ForwarderOptions> & { readonly mrouteTable?: number | undefined },
  { pid, options }: Pick<StatusResponse, 'pid' | 'options'>,
): Condition | undefined {
  if (options === undefined) return undefined;
  const asked = [...formatForwarderOptions(wanted), formatMulticastTable(wanted.mrouteTable)];
  const inEffect = [
    ...formatForwarderOptions({ ...options, ringBytes: Number(options.ringBytes) }),
    formatMulticastTable(options.mrouteTable),
  ];
  const missing = asked.filter((option) => !inEffect.includes(option));
  if (missing.length === 0) return undefined;
  const instead = inEffect.filter((option) => !asked.includes(option));
  const message =
    `the data plane (process ${pid}) was started with ${instead.join(', ')}, and the agent has ${missing.join(', ')} for it, in effect when ` +
    `the next one is started; for that now, end process ${pid}: packets are lost until the agent has started another one`;
  const status = ConditionStatus.TRUE;
  const untold = { observedGeneration: 0n, lastTransitionTime: undefined };
  return { type: 'OtherDataplaneOptions', status, reason: 'StartedBefore', message, ...untold };
}
