import { type Host, Host as HostMessage } from '@mcfleet/proto/mcfleet/v1/host';
import { expect, it } from 'vitest';
import { Fleet } from '../fleet/fleet.ts';
import { until } from '../fleet/until.ts';
import { Lab } from '../lab/lab.ts';
import { describeWithLab } from '../lab/when-possible.ts';

const document = (name: string, hosts: string): string => `apiVersion: mcfleet/v1
kind: Relay
metadata: {name: ${name}}
spec:
  hosts: ${hosts}
  input: {interface: in0, group: 239.1.1.1, port: 5001}
  outputs: [{interface: out0, address: 239.10.10.10, port: 6001}]
`;

describeWithLab('a controller that was restarted while an agent was away', () => {
  it.each(['SIGTERM', 'SIGKILL'] as const)('tells what the host said before (%s)', async (signal) => {
    await using lab = await Lab.create({
      namespaces: { relay: {}, other: {} },
      links: ['in0', 'out0'].map((name, i) => ({
        a: { namespace: 'relay', interface: name, addresses: [`10.0.${i}.1/24`] },
        b: { namespace: 'other', interface: name, addresses: [] },
      })),
    });
    const fleet = await Fleet.start(lab, {
      controller: 'relay',
      hosts: { 'edge-1': 'relay' },
      controllerCommand: (argv) => [...argv, '--log-level', 'debug'],
    });
    const host = async (): Promise<Host> =>
      HostMessage.fromJSON(JSON.parse(await fleet.command(['get', 'host', 'edge-1', '-o', 'json'])));
    const apply = (name: string, hosts: string): Promise<string> =>
      fleet.command(['apply', '-f', '-'], { input: document(name, hosts) });
    await apply('camera-7', '{names: [edge-1]}');
    await fleet.command(['wait', 'relay', 'camera-7', '--for', 'ready']);
    await fleet.agent('edge-1').stop();
    const before = await until('the host has left', async () => {
      const now = await host();
      return now.status?.connected === false && now;
    });
    expect(before.status?.interfaces.map(({ name }) => name)).toEqual(expect.arrayContaining(['in0', 'out0']));
    if (signal === 'SIGKILL') {
      // What it has not kept yet, a killed controller cannot tell again. With the next change it keeps all before it too.
      const { length } = fleet.controller.stderr;
      await apply('camera-8', '{matchLabels: {nobody: has}}');
      await until('it is kept', () => fleet.controller.stderr.slice(length).includes('kept what is known'));
      await fleet.controller.kill();
    } else await fleet.controller.stop();
    fleet.startController();
    const after = await until('the controller answers', async () => {
      const { code, stdout } = await fleet.run(['get', 'host', 'edge-1', '-o', 'json']);
      return code === 0 && HostMessage.fromJSON(JSON.parse(stdout));
    });
    // Counters are not kept.
    expect(after).toEqual({ ...before, status: { ...before.status, inputs: [], outputs: [], workers: [] } });
    const described = await fleet.command(['describe', 'host', 'edge-1']);
    expect(described).toMatch(/Last seen: +\S/);
    expect(described).not.toContain('has connected yet');
    expect(await fleet.command(['describe', 'relay', 'camera-7'])).toMatch(/Generation: +1 of 1 applied/);
  });
});
