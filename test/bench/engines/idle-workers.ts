import type { WorkerStatus } from '@mcfleet/proto/mcfleet/v1/dataplane_service';
import type { RelayPlan } from '../engine.ts';

/** What is wrong if fewer workers forwarded than a plan's options ask for; `undefined` if all did. */
export function idleWorkers(
  { options }: Pick<RelayPlan, 'options'>,
  workers: readonly Pick<WorkerStatus, 'packets'>[],
): string | undefined {
  const at = options.indexOf('--workers');
  const asked = at === -1 ? 1 : Number(options[at + 1]);
  const forwarded = workers.filter(({ packets }) => packets > 0n).length;
  if (workers.length === asked && forwarded === asked) return undefined;
  const each = workers.map(({ packets }) => packets.toLocaleString('en-US')).join(' and ');
  return `${forwarded} of ${asked} workers forwarded packets; ${workers.length} run and took ${each}`;
}
