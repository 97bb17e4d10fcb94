import { expect, it } from 'vitest';
import { interfacesNotReady } from './link-state.ts';

it('waits for the carrier, and for the switch to forward on the port', () => {
  const port = (state: string): object => ({ linkinfo: { info_slave_kind: 'bridge', info_slave_data: { state } } });
  const json = JSON.stringify([
    { ifname: 'veth0', operstate: 'UP', linkinfo: { info_kind: 'veth' } },
    { ifname: 'veth1', operstate: 'LOWERLAYERDOWN' },
    { ifname: 'p0', operstate: 'UP', ...port('forwarding') },
    { ifname: 'p1', operstate: 'UP', ...port('disabled') },
  ]);
  expect(interfacesNotReady(json, ['veth0', 'p0'])).toEqual([]);
  expect(interfacesNotReady(json, ['veth0', 'veth1', 'p0', 'p1', 'none'])).toEqual(['veth1', 'p1', 'none']);
});
