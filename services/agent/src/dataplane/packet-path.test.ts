import { ManualClock } from '@mcfleet/common/manual-clock';
import { StatusResponse } from '@mcfleet/proto/mcfleet/v1/dataplane_service';
import { expect, it } from 'vitest';
import { PacketPath } from './packet-path.ts';

it('is read every five seconds, and tells changes once', async () => {
  const clock = new ManualClock();
  let changes = 0;
  let reads = 0;
  const path = new PacketPath(clock, () => {
    changes += 1;
  });
  const facts = (filter: string, packets = 0n) =>
    StatusResponse.fromPartial({
      inputs: [{ ifindex: 2, filter }],
      workers: [{ index: 0, packets, udpSockets: { open: 3, packetsWithout: packets } }],
    });
  let now = facts('exact');
  const read = async () => {
    reads += 1;
    return now;
  };
  path.take(now);
  path.take(now);
  expect(changes).toBe(1);
  await path.refresh(read);
  expect(reads).toBe(0);
  now = facts('coarse');
  clock.advance(5_000);
  await path.refresh(read);
  await path.refresh(read);
  expect([reads, changes, path.facts.inputs[0]?.filter]).toEqual([1, 2, 'coarse']);
  path.take(facts('coarse', 5n));
  expect([changes, path.facts.workers[0]]).toMatchObject([2, { packets: 5n, udpSockets: { packetsWithout: 5n } }]);
  path.take();
  const nothing = { inputs: [], outputs: [], workers: [], options: undefined, conditions: [] };
  expect([changes, path.facts]).toEqual([3, nothing]);
});
