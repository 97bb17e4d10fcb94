import type { Host } from '@mcfleet/proto/mcfleet/v1/host';
import { age } from './age.ts';
import { bare, labelList } from './names.ts';
import type { Column } from './table.ts';

/** The labels that selectors see: the operator's over the agent's (HostSelector.match_labels). */
export function effectiveLabels(host: Host): Record<string, string> {
  return { ...host.status?.agentLabels, ...host.labels };
}

/** Up to date if the host has acknowledged the newest revision that concerns it. */
export function syncText({ status }: Host): string {
  if (status === undefined || status.desiredRevision === 0n) return '-';
  return status.appliedRevision >= status.desiredRevision ? 'yes' : 'no';
}

export function hostColumns(nowMs: () => number, wide: boolean): Column<Host>[] {
  const columns: Column<Host>[] = [
    { title: 'NAME', value: ({ name }) => bare(name) },
    {
      title: 'CONNECTED',
      value: ({ status }) => (status?.connected ? 'yes' : 'no'),
      tone: ({ status }) => (status?.connected ? 'good' : 'bad'),
    },
    { title: 'RELAYS', value: ({ status }) => String(status?.relays ?? 0), align: 'right' },
    {
      title: 'IN SYNC',
      value: syncText,
      tone: (host) => (syncText(host) === 'no' ? 'warn' : 'plain'),
    },
    { title: 'INTERFACES', value: ({ status }) => String(status?.interfaces.length ?? 0), align: 'right' },
    { title: 'VERSION', value: ({ status }) => status?.agentVersion ?? '' },
    { title: 'LAST SEEN', value: ({ status }) => age(status?.lastSeenTime, nowMs()) },
    { title: 'AGE', value: ({ createTime }) => age(createTime, nowMs()) },
  ];
  if (!wide) return columns;
  return [
    ...columns,
    { title: 'KERNEL', value: ({ status }) => status?.kernel ?? '' },
    { title: 'LABELS', value: (host) => labelList(effectiveLabels(host)) },
    { title: 'CAPABILITIES', value: ({ status }) => (status?.capabilities ?? []).join(',') },
  ];
}
