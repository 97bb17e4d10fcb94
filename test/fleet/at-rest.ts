import { SnapshotResponse } from '@mcfleet/proto/mcfleet/v1/dataplane_service';
import { packetThreadsSleep } from '../../native/test/packet-threads.ts';
import { readSnapshot } from './dataplane-account.ts';
import type { Fleet } from './fleet.ts';
import { until } from './until.ts';

/** Waits until the data planes of these hosts have nothing left to do: on a busy machine they get their turn late. */
export async function atRest(fleet: Fleet, hosts: readonly string[]): Promise<void> {
  const planes = hosts.map((host) => {
    const pid = fleet.dataplanePid(host);
    if (pid === undefined) throw new Error(`no data plane of ${host} runs`);
    return { pid, socket: fleet.dataplaneSocket(host) };
  });
  const counters = async (socket: string): Promise<string> =>
    // Time and mark are of the reading, and never the same twice.
    JSON.stringify(SnapshotResponse.toJSON({ ...(await readSnapshot(socket)), time: undefined, mark: '' }));
  let before = '';
  await until('no packet is under way', async () => {
    const now = (await Promise.all(planes.map(({ socket }) => counters(socket)))).join('\n');
    const same = now === before;
    before = now;
    return same && planes.every(({ pid }) => packetThreadsSleep(pid));
  });
}
