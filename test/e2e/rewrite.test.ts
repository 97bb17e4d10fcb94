/** What the network behind the relay sees, by a program that is not ours. */
import { expect, it } from 'vitest';
import { RelayPath } from '../fleet/relay-path.ts';
import { describeWithLab } from '../lab/when-possible.ts';
import { capture, tcpdumpMissing } from './capture.ts';

describeWithLab('a relayed packet', () => {
  it('has the group, port, source and TTL that its output asks for', async (context) => {
    context.skip(tcpdumpMissing, 'needs tcpdump');
    await using path = await RelayPath.start('chain');
    await path.apply({
      camera: path.spec({
        outputs: [
          { address: '239.9.9.9', port: 5099 },
          { address: '239.9.9.10', port: 6000, ttl: 16, source: 'KEEP' },
          { address: '239.9.9.11', ttl: 3, source: '192.0.2.77' },
          { address: path.course.receiver.address, port: 7070, ttl: 32, source: 'INTERFACE' },
          { port: 8000, ttl: 1 },
        ],
      }),
    });
    const seen = await capture(path, 'udp', 10, async () => {
      await path.carry({ count: 2, rate: 10, size: 200, source: '10.99.99.99' });
    });
    const once = [
      '10.0.1.1 > 10.0.1.2:7070 ttl 32',
      '10.0.1.1 > 239.1.1.1:8000 ttl 1',
      '10.0.1.1 > 239.9.9.9:5099 ttl arriving-1',
      '10.99.99.99 > 239.9.9.10:6000 ttl 16',
      '192.0.2.77 > 239.9.9.11:5001 ttl 3',
    ];
    const described = seen.map(
      ({ source, destination, port, ttl }) =>
        `${source} > ${destination}:${port} ttl ${destination === '239.9.9.9' ? 'arriving-1' : ttl}`,
    );
    expect(described.sort()).toEqual(once.flatMap((line) => [line, line]));
    expect(new Set(seen.map(({ length }) => length))).toEqual(new Set([200]));
  });

  it('has its TTL lowered by one, but is relayed even if it arrives with 1', async (context) => {
    context.skip(tcpdumpMissing, 'needs tcpdump');
    await using path = await RelayPath.start('chain');
    await path.apply({ camera: path.spec() });
    for (const [arriving, leaving] of [
      [1, 1],
      [2, 1],
      [64, 63],
    ] as const) {
      const seen = await capture(path, 'udp', 1, async () => {
        const script = `const socket = require('node:dgram').createSocket('udp4');
          socket.bind(() => { socket.setMulticastTTL(${arriving}); socket.setMulticastInterface('10.0.0.1');
            socket.send('one packet', 5001, '239.1.1.1', () => socket.close()); });`;
        expect(await path.lab.run('gen', [process.execPath, '--eval', script])).toMatchObject({ code: 0 });
      });
      expect(seen.map(({ ttl }) => ttl)).toEqual([leaving]);
    }
  });
});
