import type { HostSelector } from '@mcfleet/proto/mcfleet/v1/relay';

/** Labels as protobuf maps carry them. */
export type Labels = Readonly<Record<string, string>>;

/** Labels that selectors see: those of the agent, overridden key by key by those of the operator. */
export function effectiveLabels(agentLabels: Labels, ownLabels: Labels): Labels {
  return { ...agentLabels, ...ownLabels };
}

/** Whether `labels` carries every pair of `selector`. The empty selector matches everything. */
export function matchesLabels(selector: Labels, labels: Labels): boolean {
  return Object.entries(selector).every(([key, value]) => Object.hasOwn(labels, key) && labels[key] === value);
}

/** Whether a relay with this selector runs on the host: it is named, or its labels match. */
export function selectsHost(selector: HostSelector | undefined, host: string, labels: Labels): boolean {
  if (selector === undefined) return false;
  if (selector.names.includes(host)) return true;
  return Object.keys(selector.matchLabels).length > 0 && matchesLabels(selector.matchLabels, labels);
}
