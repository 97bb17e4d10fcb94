import { expect, it } from 'vitest';
import { parseInterfaceCounters, parseProtocolCounters } from './counters.ts';

it('reads the pairs of lines of /proc/net/netstat', () => {
  const text = 'TcpExt: SyncookiesSent IPReversePathFilter\nTcpExt: 0 17\nIpExt: InNoRoutes\nIpExt: 3\n';
  expect([...parseProtocolCounters(text)]).toEqual([
    ['TcpExtSyncookiesSent', 0],
    ['TcpExtIPReversePathFilter', 17],
    ['IpExtInNoRoutes', 3],
  ]);
  expect(() => parseProtocolCounters('TcpExt: A\nIpExt: 1\n')).toThrow('does not belong');
});

it('reads a line of /proc/net/dev', () => {
  const text = [
    'Inter-|   Receive                                                |  Transmit',
    ' face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed',
    '    lo: 1 2 0 0 0 0 0 0 1 2 0 0 0 0 0 0',
    ' veth1: 1316000 1000 0 3 0 0 0 0 84 2 0 5 0 0 0 0',
  ].join('\n');
  expect(parseInterfaceCounters(text, 'veth1')).toEqual({
    rxBytes: 1316000,
    rxPackets: 1000,
    rxDropped: 3,
    txBytes: 84,
    txPackets: 2,
    txDropped: 5,
  });
  expect(parseInterfaceCounters(text, 'veth')).toBeUndefined();
});
