// Started by probe.test.ts in a network namespace: `send` or `receive`, an interface, options as JSON. Prints "ready", then the report or
// the error as JSON. SIGTERM asks it to stop. `impair` forwards with known damage, see there.
import { createSocket } from 'node:dgram';
import { listInterfaces, type ProbeReceiveOptions, type ProbeSendOptions, receiveProbe, sendProbe } from '../index.ts';

const [role, interfaceName, json] = process.argv.slice(2);
const options = JSON.parse(json ?? '{}') as Record<string, unknown>;
const ifindex = listInterfaces().find(({ name }) => name === interfaceName)?.index ?? 9_999;

const sendDefaults: Omit<ProbeSendOptions, 'ifindex'> = {
  group: '239.1.1.1',
  port: 5001,
  source: null,
  sourcePort: null,
  rate: 10_000,
  count: 2_000,
  size: 1316,
  ttl: 16,
  flows: 1,
  segments: 1,
  raw: false,
  digest: true,
};
const receiveDefaults: Omit<ProbeReceiveOptions, 'ifindex'> = {
  group: '239.1.1.1',
  port: 5001,
  raw: false,
  digest: true,
  count: 2_000,
  durationMs: 50_000,
  timeoutMs: null,
  idleMs: 10_000,
  settleMs: 200,
};

function print(value: object | string): void {
  const text = JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? Number(part) : part));
  process.stdout.write(`${text}\n`);
}

/** Passes unicast datagrams on to `to`, damaging every hundredth in each of four ways; forwards `count` in all, then ends. */
async function impair(to: { address: string; port: number }, listenPort: number, count: number): Promise<void> {
  const socket = createSocket('udp4');
  socket.bind(listenPort);
  await new Promise((resolve) => socket.once('listening', resolve));
  socket.setRecvBufferSize(4 << 20);
  print('ready');
  let seen = 0;
  let held: Buffer | null = null;
  const pass = (datagram: Buffer): void => socket.send(datagram, to.port, to.address);
  await new Promise<void>((resolve) => {
    socket.on('message', (datagram) => {
      const place = seen % 100;
      seen += 1;
      if (place === 20) {
        // Lost.
      } else if (place === 40) {
        pass(datagram);
        pass(datagram);
      } else if (place === 60) {
        held = datagram;
      } else if (place === 80) {
        datagram[900] = (datagram[900] ?? 0) ^ 1;
        pass(datagram);
      } else {
        pass(datagram);
        if (held) pass(held);
        held = null;
      }
      if (seen === count) resolve();
    });
  });
  await new Promise((resolve) => setTimeout(resolve, 100));
  socket.close();
  print({ seen });
}

async function run(): Promise<void> {
  if (role === 'impair') {
    await impair(options.to as { address: string; port: number }, options.port as number, options.count as number);
    return;
  }
  const job =
    role === 'send'
      ? sendProbe({ ifindex, ...sendDefaults, ...options })
      : receiveProbe({ ifindex, ...receiveDefaults, ...options });
  print('ready');
  process.once('SIGTERM', () => job.stop());
  const report = await job.done;
  print({ ...report, progress: job.progress(), mode: 'mode' in job ? job.mode : undefined });
}

try {
  await run();
} catch (error) {
  if (!(error instanceof Error)) throw error;
  print({ error: error.message, code: 'code' in error ? error.code : error.name });
}
