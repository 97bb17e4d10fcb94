import type { Lab } from './lab.ts';

/** UDP datagrams from one namespace to another, for the lab's own tests: machines need not have ping. */
export interface Datagrams {
  readonly from: string;
  /** Source address. Default the kernel's choice. */
  readonly source?: string;
  readonly to: string;
  readonly address: string;
  readonly count: number;
  readonly bytes?: number;
}

const port = 9_000;

/** How long to look for more datagrams than were sent, in milliseconds. */
const surplusMs = 100;

/** Sends datagrams, and counts those that arrived until all did, or none has for `quietMs` after the last was sent. */
export async function sendDatagrams(lab: Lab, datagrams: Datagrams, quietMs = 1_000): Promise<number> {
  const receiver = lab.start(datagrams.to, [
    process.execPath,
    '--eval',
    `let received = 0;
     let timer;
     const later = () => {
       clearTimeout(timer);
       // What came while this process stood still is read before setImmediate calls back.
       timer = setTimeout(() => setImmediate(end, received), received < ${datagrams.count} ? ${quietMs} : ${surplusMs});
     };
     const end = (before) => {
       if (received !== before) return;
       console.log('received ' + received);
       process.exit();
     };
     const socket = require('node:dgram').createSocket('udp4', () => {
       received += 1;
       if (timer !== undefined) later();
     });
     socket.bind(${port}, () => console.log('listening'));
     process.on('SIGTERM', later);`,
  ]);
  await receiver.waitForOutput(/listening/);
  const sent = await lab.run(datagrams.from, [
    process.execPath,
    '--eval',
    `const socket = require('node:dgram').createSocket('udp4');
     socket.bind(0, ${JSON.stringify(datagrams.source)}, async () => {
       for (let sent = 0; sent < ${datagrams.count}; sent += 1) {
         await new Promise((done, failed) => socket.send(Buffer.alloc(${datagrams.bytes ?? 100}), ${port},
           '${datagrams.address}', (error) => (error ? failed(error) : done())));
       }
       socket.close();
     });`,
  ]);
  if (sent.code !== 0) throw new Error(`datagrams to ${datagrams.address} could not be sent: ${sent.stderr}`);
  const { stdout } = await receiver.stop(60_000);
  return Number(/received (\d+)/.exec(stdout)?.[1]);
}
