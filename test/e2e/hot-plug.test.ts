import { InstanceState, type RelayInstance } from '@mcfleet/proto/mcfleet/v1/relay';
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
  await until(`camera is ${state}`, async () => (await instance(path))?.state === state, 10_000);
  const found = await instance(path);
  if (found === undefined) throw new Error('camera is gone');
  return found;
}

function ready(instance: RelayInstance): { reason: string; message: string } {
  const condition = instance.conditions.find(({ type }) => type === 'Ready');
  return { reason: condition?.reason ?? '', message: condition?.message ?? '' };
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
    expect(ready(waiting).message).toContain('late1');

    for (let round = 0; round < 2; round += 1) {
      await path.lab.addLink(cable);
      await becomes(path, InstanceState.READY);
      const onCable = { ...path.course, sender: { namespace: 'gen', interface: 'late0' } };
      expectAll(await path.carry({ count, course: onCable }));
      await path.lab.deleteInterface('relay', 'late1');
      expect(ready(await becomes(path, InstanceState.PENDING)).reason).toBe('InterfaceNotFound');
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
    const carried = await path.carryDuring({}, async () => {
      await path.lab.deleteInterface('relay', 'extra0');
      const degraded = await becomes(path, InstanceState.DEGRADED);
      expect(ready(degraded).message).toContain('extra0');
    });
    expectAll(carried);
    await path.lab.addLink(cable);
    await becomes(path, InstanceState.READY);
    const onExtra = { ...path.course, receiver: { namespace: 'sink', interface: 'extra1', address: '10.0.8.2' } };
    expectAll(await path.carry({ count, receivedGroup: '239.9.9.10', receivedPort: 5001, course: onExtra }));
  });
});
