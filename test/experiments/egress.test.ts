/**
 * Which interface multicast of a program leaves by. Claims: IP_MULTICAST_IF, then the routes; bind to an address sets the source alone and
 * does not choose; default routes typically do not serve multicast.
 */
import { expect, it } from 'vitest';
import { Lab } from '../lab/lab.ts';
import { describeExperiment } from './obstacle.ts';
import { Recorder } from './record.ts';

const group = '239.1.1.1';
const addresses = ['10.0.0.1', '10.0.1.1'] as const;

interface Choice {
  readonly routes?: readonly string[];
  readonly bind?: string;
  readonly multicastIf?: string;
}

/** Sends five packets as a program does that makes this choice. */
async function send(lab: Lab, { bind, multicastIf }: Choice): Promise<string> {
  const script = `
    const socket = require('node:dgram').createSocket('udp4');
    socket.bind(0, ${JSON.stringify(bind)}, async () => {
      ${multicastIf === undefined ? '' : `socket.setMulticastInterface('${multicastIf}');`}
      for (let i = 0; i < 5; i++) {
        await new Promise((done) => socket.send('x', 5001, '${group}', (error) => {
          if (error) console.log(error.code);
          done();
        }));
      }
      socket.close();
    });`;
  const { code, stdout, stderr } = await lab.run('host', [process.execPath, '--eval', script]);
  expect(code, stderr).toBe(0);
  return stdout.split('\n')[0] ?? '';
}

describeExperiment('multicast of a program', ['nft'], () => {
  it.each<[string, Choice, { readonly by?: 0 | 1; readonly source?: string; readonly error?: string }]>([
    ['without any choice or route is refused', {}, { error: 'ENETUNREACH' }],
    ['takes the default route', { routes: ['default via 10.0.1.2'] }, { by: 1 }],
    ['takes a multicast route before it', { routes: ['default via 10.0.1.2', '224.0.0.0/4 dev eth0'] }, { by: 0 }],
    ['takes IP_MULTICAST_IF, without a route', { multicastIf: addresses[1] }, { by: 1 }],
    [
      'takes IP_MULTICAST_IF before a route',
      { multicastIf: addresses[1], routes: ['224.0.0.0/4 dev eth0'] },
      { by: 1 },
    ],
    ['takes the interface of the address it is bound to, without a route', { bind: addresses[1] }, { by: 1 }],
    ['takes that before a route', { bind: addresses[1], routes: ['224.0.0.0/4 dev eth0'] }, { by: 1 }],
    [
      'takes IP_MULTICAST_IF before the address it is bound to, which stays the source',
      { bind: addresses[1], multicastIf: addresses[0] },
      { by: 0, source: addresses[1] },
    ],
  ])('%s', async (_what, choice, { by, source, error }) => {
    await using lab = await Lab.create({
      namespaces: { host: {}, peer0: {}, peer1: {} },
      links: [0, 1].map((i) => ({
        a: { namespace: 'host', interface: `eth${i}`, addresses: [`10.0.${i}.1/24`] },
        b: { namespace: `peer${i}`, interface: 'eth0', addresses: [`10.0.${i}.2/24`] },
      })),
    });
    for (const route of choice.routes ?? []) await lab.ip('host', `route add ${route}`);
    const recorders = [await Recorder.start(lab, 'peer0', 'eth0'), await Recorder.start(lab, 'peer1', 'eth0')];
    expect(await send(lab, choice)).toBe(error ?? '');
    const seen = await Promise.all(recorders.map((recorder) => recorder.take()));
    const whole = by === undefined ? [] : [{ source: source ?? addresses[by], destination: group, ttl: 1, packets: 5 }];
    expect(seen).toEqual([by === 0 ? whole : [], by === 1 ? whole : []]);
  });
});
