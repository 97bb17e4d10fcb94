import { type ProbeSendReport, probeLimits, sendProbe } from '@mcfleet/native';
import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { UsageError } from '../exit.ts';
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
  parseSource,
  rateOf,
  seconds,
  untilDone,
} from './probe-options.ts';

interface SendOptions extends ProbeOptions {
  readonly rate: number;
  readonly count?: number;
  readonly size: number;
  readonly source?: string;
  readonly sourcePort?: number;
  readonly ttl: number;
  readonly flows: number;
  readonly segment: number;
}

export function addSendCommand(probe: Command, cli: Cli): void {
  const command = probe
    .command('send')
    .summary('send paced test traffic')
    .description(
      'Sends packets that "mcfleet probe recv" can judge: numbered, stamped and filled with a known pattern. A source that this\nhost does not have is sent with raw packets, which need CAP_NET_RAW.',
    );
  addProbeOptions(command);
  command
    .option(
      '--rate <pps>',
      'packets per second',
      numberOf('packets per second', probeLimits.rate, { whole: false }),
      1000,
    )
    .option('--count <packets>', 'how many; without it, until Ctrl-C', numberOf('packets', probeLimits.count))
    .option('--size <bytes>', 'UDP payload of a packet', numberOf('bytes', probeLimits.size), 1316)
    .option('--source <address>', 'source address; any, also one that nobody can route to', parseSource)
    .option(
      '--source-port <port>',
      'source port of the first flow, the next ones count up',
      numberOf('a port', probeLimits.port),
    )
    .option('--ttl <hops>', 'time to live', numberOf('hops', probeLimits.ttl), 16)
    .option(
      '--flows <flows>',
      'that many source ports in turns, numbered apart',
      numberOf('flows', probeLimits.flows),
      1,
    )
    .option(
      '--segment <packets>',
      'packets per send, cut apart by the kernel or the device (UDP_SEGMENT): beyond a million per second, in bursts',
      numberOf('packets', probeLimits.segments),
      1,
    )
    .option('--raw', 'raw packets in any case, past routing and firewall of this host')
    .option('--payload-sha256', "compute the fingerprint of what is sent, to compare with the receiver's")
    .addOption(outputOption(['table', 'json']))
    .action((options: SendOptions) => send(cli, options));
  examples(command, [
    ['mcfleet probe send --interface eth0 --group 239.1.1.1 --port 5001 --rate 150000 --count 1000000', 'measure'],
    [
      'mcfleet probe send --interface eth0 --group 239.1.1.1 --port 5001 --source 10.99.99.99',
      'from an unroutable source',
    ],
    ['mcfleet probe send --interface eth0 --group 192.0.2.7 --port 5001 --count 10 -o json', 'unicast, result as JSON'],
  ]);
}

async function send(cli: Cli, options: SendOptions): Promise<void> {
  const { index } = findInterface(options.interface);
  checkFamily(options, options.source);
  const lastPort = (options.sourcePort ?? 0) + options.flows - 1;
  if (lastPort > probeLimits.port.max) {
    throw new UsageError(
      `--source-port ${options.sourcePort} with --flows ${options.flows} goes up to port ${lastPort}; the highest is 65535`,
    );
  }
  if (options.segment > 1 && options.raw) throw new UsageError('--segment and --raw exclude one another');
  if (options.segment * options.size > probeLimits.size.max && options.segment > 1) {
    throw new UsageError(
      `--segment ${options.segment} of --size ${options.size}: one send has at most ${probeLimits.size.max} bytes`,
    );
  }
  try {
    const sender = sendProbe({
      ifindex: index,
      group: options.group,
      port: options.port,
      source: options.source ?? null,
      sourcePort: options.sourcePort ?? null,
      rate: options.rate,
      count: options.count ?? null,
      size: options.size,
      ttl: options.ttl,
      flows: options.flows,
      segments: options.segment,
      raw: options.raw === true,
      digest: options.payloadSha256 === true,
    });
    const limit = options.count === undefined ? 'until Ctrl-C' : `${options.count} packets`;
    cli.say(`sending on ${options.interface} to ${endpoint(options)}, ${options.rate} per second, ${limit}`);
    const report = await untilDone(sender);
    cli.print(options.output === 'json' ? `${JSON.stringify(asJson(report, sender.mode))}\n` : asText(report));
  } catch (thrown) {
    throw explain(thrown, options);
  }
}

function asJson(report: ProbeSendReport, mode: string): object {
  return {
    sent: Number(report.sent),
    bytes: Number(report.bytes),
    duration_seconds: seconds(report.durationNs),
    rate: rateOf(report.sent, report.durationNs),
    retries: Number(report.retries),
    mode,
    ...(report.payloadSha256 === null ? {} : { payload_sha256: report.payloadSha256 }),
  };
}

function asText(report: ProbeSendReport): string {
  const rate = rateOf(report.sent, report.durationNs);
  return lines([
    ['sent', `${count(report.sent)} packets, ${count(report.bytes)} bytes of payload`],
    ['took', `${seconds(report.durationNs).toFixed(3)} s`],
    ...(rate === null ? [] : [['rate', `${rate.toFixed(1)} packets/s`] as const]),
    ...(report.retries === 0n
      ? []
      : [['queue full', `${count(report.retries)} times; sent again, none is missing`] as const]),
    ...(report.payloadSha256 === null ? [] : [['sha256', report.payloadSha256] as const]),
  ]);
}
