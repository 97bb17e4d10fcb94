import type { Received } from '../fleet/probe.ts';
import { host, RelayPath } from '../fleet/relay-path.ts';
import { until } from '../fleet/until.ts';
import { type Check, grouped, judged, type Outcome } from './check.ts';

const rate = 20_000;

async function killController(): Promise<Outcome> {
  await using path = await RelayPath.start('chain');
  await path.apply({ camera: path.spec() });
  const acknowledged = ['camera'];
  const { received, sent } = await path.carryDuring({ rate }, async () => {
    const writing = (async () => {
      for (let number = 0; number < 1_000; number += 1) {
        const spec = path.spec({ input: { group: '239.1.1.2', port: 6_000 + number } });
        if ((await path.tryApply({ [`other-${number}`]: spec })).code !== 0) return;
        acknowledged.push(`other-${number}`);
      }
    })();
    await until('ten writes', () => acknowledged.length > 10, 60_000);
    await path.fleet.controller.kill();
    await writing;
    path.fleet.startController();
    await path.fleet.waitForHosts();
  });
  const stored = new Set((await path.fleet.command(['get', 'relays', '-o', 'name'])).trim().split('\n'));
  const missing = acknowledged.filter((name) => !stored.has(name));
  return judged([
    [received.received === sent.sent && received.duplicates === 0, packets(received, sent.sent)],
    [
      missing.length === 0,
      `${acknowledged.length} writes acknowledged before the kill, ${missing.length} of them missing after it`,
    ],
    ['note', 'the agent connected again when the controller returned'],
  ]);
}

async function killAgent(): Promise<Outcome> {
  await using path = await RelayPath.start('chain');
  await path.apply({ camera: path.spec() });
  const before = path.fleet.dataplanePid(host);
  const { received, sent } = await path.carryDuring({ rate }, async () => {
    await path.fleet.agent(host).kill();
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    path.fleet.startAgent(host);
    await path.fleet.waitForHosts();
    await path.apply({ later: path.spec({ input: { port: 5002 } }) });
  });
  const after = path.fleet.dataplanePid(host);
  return judged([
    [received.received === sent.sent && received.duplicates === 0, packets(received, sent.sent)],
    [before !== undefined && before === after, `data plane before: pid ${before}, after: pid ${after}`],
    ['note', 'the next agent programmed a further relay in it'],
  ]);
}

async function killDataplane(): Promise<Outcome> {
  await using path = await RelayPath.start('chain');
  await path.apply({ camera: path.spec() });
  const gaps: number[] = [];
  const demands: [boolean, string][] = [];
  for (let round = 1; round <= 5; round += 1) {
    const dataplane = path.fleet.dataplanePid(host);
    if (dataplane === undefined) throw new Error('no data plane runs');
    const { received, sent } = await path.carryDuring({ rate }, async () => {
      process.kill(dataplane, 'SIGKILL');
      await new Promise((resolve) => setTimeout(resolve, 2_000));
    });
    // The stream went on to its last packet, so what is missing is the gap.
    const missing = sent.sent - received.received;
    gaps.push(missing / rate);
    demands.push([
      received.last_sequence === sent.sent - 1 && missing / rate < 1,
      `kill ${round}: ${((1000 * missing) / rate).toFixed(0)} ms without packets (${grouped(missing)} lost), pid ${dataplane} -> ${path.fleet.dataplanePid(host)}`,
    ]);
  }
  return judged([
    ...demands,
    [Math.max(...gaps) < 1, `longest gap ${(1000 * Math.max(...gaps)).toFixed(0)} ms, no command given`],
  ]);
}

function packets({ received, duplicates }: Received, sent: number): string {
  return `${grouped(received)} of ${grouped(sent)} packets received, ${sent - received} lost, ${duplicates} duplicates`;
}

export const killChecks: readonly Check[] = [
  { name: 'kill-controller', title: 'kill -9 of the controller under a stream and under writes', run: killController },
  { name: 'kill-agent', title: 'kill -9 of the agent under a stream', run: killAgent },
  { name: 'kill-dataplane', title: 'kill -9 of the data plane under a stream, five times', run: killDataplane },
];
