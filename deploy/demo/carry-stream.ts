import type { Fleet } from '../../test/fleet/fleet.ts';
import { Receiver, Sender, type Traffic } from '../../test/fleet/probe.ts';
import type { Screen } from './screen.ts';
import { type OutputRow, RateMeter, renderTable } from './table.ts';
import { judge, type Verdict } from './verdict.ts';

const refreshMs = 1_000;
/** What is under way when the sender ends arrives within milliseconds. */
const arrivalMs = 1_500;
/** Agents report their counters every one or two seconds. */
const reportMs = 3_000;

const receivers = [
  { name: 'viewer-1', target: { interface: 'eth0', group: '239.20.20.20', port: 7001 } },
  { name: 'viewer-2', target: { interface: 'eth0', group: '10.3.0.12', port: 7002 } },
] as const;

/** Sends a stream through both hosts, shows what is relayed while it runs, and asks the receivers. */
export async function carryStream(
  fleet: Fleet,
  screen: Screen,
  stream: Traffic & { readonly count: number },
): Promise<Verdict[]> {
  const listening = await Promise.all(
    receivers.map(async ({ name, target }) => ({
      name,
      receiver: await Receiver.start(fleet.lab, name, { ...target, count: stream.count }),
    })),
  );
  const sender = new Sender(fleet.lab, 'source', stream);
  const meter = new RateMeter();
  while (sender.process.running) {
    await Promise.race([sender.process.exited, pause(refreshMs)]);
    if (sender.process.running) show(screen, meter.rows(await fleet.instances()));
  }
  const { sent } = await sender.result();

  const verdicts: Verdict[] = [];
  for (const { name, receiver } of listening) {
    verdicts.push(judge(name, sent, await receiver.stopWhenQuiet(arrivalMs)));
  }
  const end = performance.now() + reportMs;
  let rows = meter.rows(await fleet.instances());
  while (rows.some((row) => row.packetsIn < sent) && performance.now() < end) {
    await pause(100);
    rows = meter.rows(await fleet.instances());
  }
  show(screen, rows);
  return verdicts;
}

function show(screen: Screen, rows: readonly OutputRow[]): void {
  const [heading = '', ...lines] = renderTable(rows).map((line) => `  ${line}`);
  screen.redraw(heading, lines);
}

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}
