import { fileURLToPath } from 'node:url';
import { churnDataplane } from '../fleet/dataplane-churn.ts';
import type { Received } from '../fleet/probe.ts';
import { host, RelayPath } from '../fleet/relay-path.ts';
import { type Check, grouped, judged, type Outcome } from './check.ts';

const changes = 10_000;
const rate = 20_000;
const churn = fileURLToPath(new URL('../fleet/churn.ts', import.meta.url));

function verdict(received: Received, sent: number, what: string): Outcome {
  const complete =
    received.received === sent && received.lost === 0 && received.duplicates === 0 && received.corrupt === 0;
  return judged([
    ['note', what],
    [
      complete,
      `${grouped(received.received)} of ${grouped(sent)} packets received meanwhile, ${received.lost} lost, ` +
        `${received.duplicates} duplicates, ${received.corrupt} corrupt`,
    ],
  ]);
}

async function throughController(): Promise<Outcome> {
  await using path = await RelayPath.start('chain');
  await path.apply({ camera: path.spec() });
  const { input, output } = path.course.relay;
  let what = '';
  const { received, sent } = await path.carryDuring({ rate }, async () => {
    const argv = [process.execPath, churn, path.fleet.server, host, input, output, String(changes)];
    const result = await path.lab.run('relay', argv, { timeoutMs: 300_000 });
    if (result.code !== 0) throw new Error(`the changes failed: ${result.stderr}`);
    const { added, updated, removed, seconds } = JSON.parse(result.stdout) as Record<string, number>;
    what = `${added} relays added, ${updated} updated, ${removed} removed in ${seconds?.toFixed(1)} s, each acknowledged by the store`;
  });
  return verdict(received, sent.sent, what);
}

async function inDataplane(): Promise<Outcome> {
  await using path = await RelayPath.start('chain');
  await path.apply({ camera: path.spec() });
  const { input, output } = path.course.relay;
  const ifindexes = { input: await path.ifindex('relay', input), output: await path.ifindex('relay', output) };
  let what = '';
  const { received, sent } = await path.carryDuring({ rate }, async () => {
    const { seconds } = await churnDataplane(path.fleet.dataplaneSocket(host), ifindexes, changes);
    what = `${grouped(changes)} changes one by one in ${seconds.toFixed(1)} s, each in force before the next`;
  });
  return verdict(received, sent.sent, what);
}

export const ruleChangeChecks: readonly Check[] = [
  {
    name: 'rule-changes-controller',
    title: '10,000 changes of other relays through the controller, under a stream of 20,000 packets per second',
    run: throughController,
  },
  {
    name: 'rule-changes-dataplane',
    title: '10,000 changes of other relays in the data plane, under a stream of 20,000 packets per second',
    run: inDataplane,
  },
];
