import { type ProbeReceiveReport, probeLimits, receiveProbe } from '@mcfleet/native';
import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { CommandFailure } from '../exit.ts';
import { examples, outputOption } from './global-options.ts';
import {
  addProbeOptions,
  checkFamily,
  count,
  endpoint,
  explain,
  findInterface,
  lines,
  numberOf,
  type ProbeOptions,
  parseSeconds,
  rateOf,
  seconds,
  untilDone,
} from './probe-options.ts';

interface ReceiveOptions extends ProbeOptions {
  readonly count?: number;
  readonly duration?: number;
  readonly idle?: number;
}

const IFF_UP = 0x1;
/** With --count: when nothing has come for so long, the rest is lost. Longer than a data plane needs to come back. */
const defaultIdleMs = 3_000;
/** How long to look for duplicates after the last packet. */
const settleMs = 300;

export function addReceiveCommand(probe: Command, cli: Cli): void {
  const command = probe
    .command('recv')
    .summary('receive test traffic and judge it')
    .description(
      'Receives what "mcfleet probe send" sends and reports loss, duplicates, reordering, corruption and latency. Says "listening" on standard error once it is ready. Latency is from the sender\'s stamp to the kernel\'s: on two hosts it is right as far as their clocks agree. Exit code 1 if nothing came or, with --count, if any packet was lost, repeated or corrupt.',
    );
  addProbeOptions(command);
  command
    .option(
      '--count <packets>',
      'how many are expected; ends when they are here',
      numberOf('packets', probeLimits.count),
    )
    .option('--duration <seconds>', 'ends after that, whatever came', parseSeconds)
    .option('--idle <seconds>', 'ends when no more come for so long (default 3 with --count)', parseSeconds)
    .option('--raw', 'take packets at the interface, past firewall, routing and sockets; needs CAP_NET_RAW')
    .option('--payload-sha256', "compute the fingerprint of what came, to compare with the sender's")
    .addOption(outputOption(['table', 'json']))
    .addHelpText('after', '\n--timeout ends it when not even a first packet comes for so long.')
    .action((options: ReceiveOptions, self: Command) => receive(cli, options, self));
  examples(command, [
    ['mcfleet probe recv --interface eth1 --group 239.10.10.10 --port 6001', 'until Ctrl-C'],
    ['mcfleet probe recv --interface eth1 --group 239.10.10.10 --port 6001 --count 1000000 -o json', 'a measurement'],
    [
      'mcfleet probe recv --interface eth1 --group 239.10.10.10 --port 6001 --raw --duration 10',
      'what the wire carries',
    ],
  ]);
}

async function receive(cli: Cli, options: ReceiveOptions, command: Command): Promise<void> {
  const { index, flags } = findInterface(options.interface);
  checkFamily(options);
  const timeoutMs = cli.timeoutMs(command, Number.POSITIVE_INFINITY);
  let report: ProbeReceiveReport;
  try {
    const receiver = receiveProbe({
      ifindex: index,
      group: options.group,
      port: options.port,
      raw: options.raw === true,
      digest: options.payloadSha256 === true,
      count: options.count ?? null,
      durationMs: options.duration ?? null,
      timeoutMs: timeoutMs === Number.POSITIVE_INFINITY ? null : timeoutMs,
      idleMs: options.idle ?? (options.count === undefined ? null : defaultIdleMs),
      settleMs,
    });
    if ((flags & IFF_UP) === 0) cli.say(`warning: ${options.interface} is down; nothing arrives until it is up`);
    cli.say(`listening on ${options.interface} for ${endpoint(options)}`);
    report = await untilDone(receiver);
  } catch (thrown) {
    throw explain(thrown, options);
  }
  cli.print(options.output === 'json' ? `${JSON.stringify(asJson(report))}\n` : asText(report));
  judge(cli, report, options);
}

/** @throws CommandFailure if the stream was not what it should have been */
function judge(cli: Cli, report: ProbeReceiveReport, options: ReceiveOptions): void {
  if (report.receiverDrops > 0n) {
    const remedy = options.raw ? '' : '; run it as root, raise net.core.rmem_max, or use --raw';
    cli.say(
      `warning: this receiver was too slow for ${count(report.receiverDrops)} packets: the network did not lose them${remedy}`,
    );
  }
  if (report.received === 0n) {
    const others = report.foreign + report.corrupt;
    throw new CommandFailure(
      others > 0n
        ? `error: ${count(others)} packets came, none of them an intact packet of mcfleet probe send`
        : `error: no packet came to ${endpoint(options)} on ${options.interface}`,
    );
  }
  if (options.count === undefined) return;
  const { lost, duplicates, corrupt } = report;
  if (lost + duplicates + corrupt === 0n) return;
  throw new CommandFailure(`error: ${count(lost)} lost, ${count(duplicates)} duplicates, ${count(corrupt)} corrupt`);
}

/** The object of the contract, and more. */
function asJson(report: ProbeReceiveReport): object {
  const { latencyNs } = report;
  const any = report.flows.length > 0;
  return {
    received: Number(report.received),
    lost: Number(report.lost),
    duplicates: Number(report.duplicates),
    reordered: Number(report.reordered),
    corrupt: Number(report.corrupt),
    bytes: Number(report.bytes),
    latency_us: {
      p50: latencyNs && Number(latencyNs.p50) / 1000,
      p99: latencyNs && Number(latencyNs.p99) / 1000,
      p999: latencyNs && Number(latencyNs.p999) / 1000,
      max: latencyNs && Number(latencyNs.max) / 1000,
    },
    first_sequence: any ? Math.min(...report.flows.map(({ firstSequence }) => Number(firstSequence))) : null,
    last_sequence: any ? Math.max(...report.flows.map(({ lastSequence }) => Number(lastSequence))) : null,
    stale: Number(report.stale),
    foreign: Number(report.foreign),
    unaccounted: Number(report.unaccounted),
    receiver_drops: Number(report.receiverDrops),
    duration_seconds: seconds(report.activeNs),
    ...(report.payloadSha256 === null ? {} : { payload_sha256: report.payloadSha256 }),
    flows: report.flows.map((flow) => ({
      run: flow.run.toString(16).padStart(16, '0'),
      flow: flow.flow,
      source: flow.source,
      source_port: flow.sourcePort,
      ttl: flow.ttl,
      received: Number(flow.received),
      lost: Number(flow.lost),
      duplicates: Number(flow.duplicates),
      reordered: Number(flow.reordered),
      stale: Number(flow.stale),
      bytes: Number(flow.bytes),
      first_sequence: Number(flow.firstSequence),
      last_sequence: Number(flow.lastSequence),
    })),
  };
}

function asText(report: ProbeReceiveReport): string {
  const microseconds = (ns: bigint): string => `${(Number(ns) / 1000).toFixed(1)} us`;
  const { latencyNs } = report;
  const rate = rateOf(report.received, report.activeNs);
  const rare = [
    ['stale', report.stale],
    ['foreign', report.foreign],
    ['unaccounted', report.unaccounted],
    ['receiver drops', report.receiverDrops],
  ] as const;
  return lines([
    ['received', `${count(report.received)} packets, ${count(report.bytes)} bytes of payload`],
    ['lost', count(report.lost)],
    ['duplicates', count(report.duplicates)],
    ['reordered', count(report.reordered)],
    ['corrupt', count(report.corrupt)],
    ...rare.filter(([, value]) => value > 0n).map(([name, value]) => [name, count(value)] as const),
    ...(latencyNs === null
      ? []
      : [
          [
            'latency',
            `p50 ${microseconds(latencyNs.p50)}, p99 ${microseconds(latencyNs.p99)}, p99.9 ${microseconds(latencyNs.p999)}, max ${microseconds(latencyNs.max)}`,
          ] as const,
        ]),
    ...(rate === null
      ? []
      : [['rate', `${rate.toFixed(1)} packets/s over ${seconds(report.activeNs).toFixed(3)} s`] as const]),
    ...report.flows.map(
      (flow) => ['from', `${flow.source}:${flow.sourcePort}, ${count(flow.received)} packets`] as const,
    ),
    ...(report.payloadSha256 === null ? [] : [['sha256', report.payloadSha256] as const]),
  ]);
}
