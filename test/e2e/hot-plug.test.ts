import { InstanceState, type RelayCounters, type RelayInstance } from '@mcfleet/proto/mcfleet/v1/relay';
import { expect, it } from 'vitest';
import { RelayPath, relayDocuments } from '../fleet/relay-path.ts';
import { until } from '../fleet/until.ts';
import { describeWithLab } from '../lab/when-possible.ts';
import { expectAll } from './all-arrived.ts';

const count = 10_000;

async function instance(path: RelayPath): Promise<RelayInstance | undefined> {
  return (await path.fleet.instances()).find((found) => found.relay === 'relays/camera');
}

async function becomes(path: RelayPath, state: InstanceState): Promise<RelayInstance> {
  return await until(`camera is ${state}`, async () => {
    const found = await instance(path);
    return found?.state === state && found;
  });
}

function ready(instance: RelayInstance): { reason: string; message: string } {
  const condition = instance.conditions.find(({ type }) => type === 'Ready');
  return { reason: condition?.reason ?? '', message: condition?.message ?? '' };
}

/** Counters of the camera once they show as many packets received. */
async function counted(path: RelayPath, atLeast: bigint): Promise<RelayCounters> {
  return await until(`${atLeast} packets are counted`, async () => {
    const counters = (await instance(path))?.counters;
    return counters !== undefined && counters.rxPackets >= atLeast && counters;
  });
}

describeWithLab('an interface that comes and goes', () => {
  it('starts and stops the relay that takes its packets, with no command given', async () => {
    await using path = await RelayPath.start('chain');
    const cable = {
      a: { namespace: 'gen', interface: 'late0', addresses: ['10.0.7.1/24'] },
      b: { namespace: 'relay', interface: 'late1', addresses: ['10.0.7.2/24'] },
    };
    const input = { interface: 'late1' };
    await path.fleet.command(['apply', '-f', '-'], { input: relayDocuments({ camera: path.spec({ input }) }) });
    const waiting = await becomes(path, InstanceState.PENDING);
    expect(ready(waiting).reason).toBe('InterfaceNotFound');
    expect(ready(waiting).message).toMatch(/^input interface late1 does not exist/);
    const since = (await counted(path, 0n)).startTime;
    expect(since).toBeInstanceOf(Date);

    for (let round = 0; round < 2; round += 1) {
      await path.lab.addLink(cable);
      await becomes(path, InstanceState.READY);
      const onCable = { ...path.course, sender: { namespace: 'gen', interface: 'late0' } };
      expectAll(await path.carry({ count, course: onCable }));
      await path.lab.deleteInterface('relay', 'late1');
      expect(ready(await becomes(path, InstanceState.PENDING)).reason).toBe('InterfaceNotFound');
      // Totals: they go on, and would tell if they began again.
      const total = BigInt(count * (round + 1));
      expect(await counted(path, total)).toMatchObject({ rxPackets: total, startTime: since });
    }
  });

  it('costs only its own output', async () => {
    await using path = await RelayPath.start('chain');
    const cable = {
      a: { namespace: 'relay', interface: 'extra0', addresses: ['10.0.8.1/24'] },
      b: { namespace: 'sink', interface: 'extra1', addresses: ['10.0.8.2/24'] },
    };
    await path.lab.addLink(cable);
    await path.apply({
      camera: path.spec({
        outputs: [
          { address: '239.9.9.9', port: 5099 },
          { interface: 'extra0', address: '239.9.9.10' },
        ],
      }),
    });
    const onExtra = { ...path.course, receiver: { namespace: 'sink', interface: 'extra1', address: '10.0.8.2' } };
    const throughExtra = { count, receivedGroup: '239.9.9.10', receivedPort: 5001, course: onExtra };
    expectAll(await path.carry(throughExtra));
    const sent = BigInt(count);
    const before = await counted(path, sent);
    const carried = await path.carryDuring({}, async () => {
      await path.lab.deleteInterface('relay', 'extra0');
      const degraded = await becomes(path, InstanceState.DEGRADED);
      expect(ready(degraded).message).toMatch(/^output interface extra0 does not exist/);
      expect(await path.fleet.command(['describe', 'relay', 'camera'])).toMatch(
        /What to do:\n {2}- edge-1: output interface extra0 does not exist/,
      );
    });
    expectAll(carried);
    const gone = await counted(path, sent + BigInt(carried.sent.sent));
    const [, extraGone] = gone.outputs;
    expect(extraGone).toMatchObject({ up: false, downReason: 'InterfaceNotFound' });
    await path.lab.addLink(cable);
    await becomes(path, InstanceState.READY);
    expectAll(await path.carry(throughExtra));
    // Every packet that the receiver on the cable was sent, and those of the stream until the cable was pulled. A packet is counted as
    // received a moment before it is counted as sent.
    const all = (extraGone?.txPackets ?? 0n) + sent;
    await expect.poll(async () => (await instance(path))?.counters?.outputs[1]?.txPackets).toBe(all);
    const after = await counted(path, gone.rxPackets + sent);
    expect(after.startTime).toEqual(before.startTime);
    expect(after.outputs[1]?.startTime).toEqual(before.outputs[1]?.startTime);
    expect(extraGone?.txPackets).toBeGreaterThanOrEqual(sent);
  });
});

describeWithLab('an input that is an address of the host', () => {
  it('waits while the host does not have it, and starts by itself when it does', async () => {
    await using path = await RelayPath.start('chain');
    const { input } = path.course.relay;
    const unicast = path.spec({ input: { group: '10.0.0.77' } });
    await path.fleet.command(['apply', '-f', '-'], { input: relayDocuments({ camera: unicast }) });
    const waiting = await becomes(path, InstanceState.PENDING);
    expect(ready(waiting).reason).toBe('AddressNotLocal');
    expect(ready(waiting).message).toMatch(new RegExp(`^input address 10.0.0.77 is neither .* on ${input};`));
    expect(await path.fleet.command(['describe', 'relay', 'camera'])).toMatch(
      /What to do:\n {2}- edge-1: input address 10\.0\.0\.77 is neither/,
    );
    for (let round = 0; round < 2; round += 1) {
      await path.lab.ip('relay', `address add 10.0.0.77/32 dev ${input}`);
      await becomes(path, InstanceState.READY);
      expectAll(await path.carry({ count, group: '10.0.0.77' }));
      await path.lab.ip('relay', `address del 10.0.0.77/32 dev ${input}`);
      expect(ready(await becomes(path, InstanceState.PENDING)).reason).toBe('AddressNotLocal');
    }
  });
});
