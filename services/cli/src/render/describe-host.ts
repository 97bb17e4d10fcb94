import type { Host, NetworkInterface } from '@mcfleet/proto/mcfleet/v1/host';
import type { RelayInstance } from '@mcfleet/proto/mcfleet/v1/relay';
import { conditionText } from './condition-view.ts';
import { timeText } from './describe-relay.ts';
import { effectiveLabels, syncText } from './host-view.ts';
import { instanceColumns } from './instance-view.ts';
import { bare, labelList } from './names.ts';
import { Outline } from './outline.ts';
import { noPaint } from './paint.ts';
import { type Column, Table } from './table.ts';

const interfaceColumns: Column<NetworkInterface>[] = [
  { title: 'NAME', value: ({ name }) => name },
  { title: 'INDEX', value: ({ index }) => String(index), align: 'right' },
  { title: 'STATE', value: ({ operState }) => operState },
  { title: 'KIND', value: ({ kind }) => kind },
  { title: 'MTU', value: ({ mtu }) => String(mtu), align: 'right' },
  { title: 'ADDRESSES', value: ({ addresses }) => addresses.join(',') },
  { title: 'FLAGS', value: ({ flags }) => flags.join(',') },
];

/** Everything about a host: its session, its interfaces, and the relays it runs. */
export function describeHost(host: Host, instances: readonly RelayInstance[], nowMs: number): string {
  const { status } = host;
  const outline = new Outline();
  outline.fields([
    ['Name', bare(host.name)],
    ['Display name', host.displayName],
    ['Connected', status?.connected ? 'yes' : 'no'],
    ['Last seen', timeText(status?.lastSeenTime, nowMs)],
    ['In sync', syncText(host)],
    ['Labels', labelList(effectiveLabels(host))],
    ['Annotations', labelList(host.annotations)],
    ['Agent', status?.agentVersion ?? ''],
    ['Kernel', status?.kernel ?? ''],
    ['Capabilities', (status?.capabilities ?? []).join(', ')],
    ['Boot ID', status?.bootId ?? ''],
    ['Created', timeText(host.createTime, nowMs)],
    ['UID', host.uid],
  ]);
  outline.section('Conditions', (inner) => {
    for (const condition of status?.conditions ?? []) inner.line(conditionText(condition, nowMs));
  });
  const interfaces = status?.interfaces ?? [];
  if (interfaces.length > 0) {
    outline.section('Interfaces', (inner) => inner.block(new Table(interfaceColumns, noPaint).rows(interfaces)));
  }
  if (instances.length > 0) {
    const columns = instanceColumns(() => nowMs, true).filter(({ title }) => title !== 'HOST');
    outline.section('Relays', (inner) => inner.block(new Table(columns, noPaint).rows(instances)));
  }
  return outline.toString();
}
