import { Relay } from '@mcfleet/proto/mcfleet/v1/relay';
import type { FieldDiff } from '@mcfleet/proto/mcfleet/v1/relay_service';
import { diffJson } from './field-diff.ts';

const MAPS: ReadonlySet<string> = new Set(['labels', 'annotations', 'matchLabels']);

/** What of a relay its writers decide: everything but what the controller fills in. */
type Intent = Pick<Relay, 'displayName' | 'labels' | 'annotations' | 'managedBy' | 'spec'>;

/** The fields in which two relays differ, of those that their writers decide. */
export function diffRelays(before: Intent, after: Intent): FieldDiff[] {
  return diffJson(intentJson(before), intentJson(after), MAPS);
}

/** Whether the specs differ; only that raises a relay's generation. */
export function specDiffers(before: Intent, after: Intent): boolean {
  return diffRelays(before, after).some(({ path }) => path === 'spec' || path.startsWith('spec.'));
}

function intentJson({ displayName, labels, annotations, managedBy, spec }: Intent): unknown {
  return Relay.toJSON({ ...Relay.fromPartial({}), displayName, labels, annotations, managedBy, spec });
}
