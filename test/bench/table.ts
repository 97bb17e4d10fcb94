import { checkedAtLessList, checkVerdict } from './check-text.ts';
import { damageList } from './damage.ts';
import { CONFIRMATIONS } from './effort.ts';
import type { EngineName } from './engine.ts';
import { markdownTable } from './markdown-table.ts';
import { wrongOutputsList } from './output-verdict.ts';
import {
  type BenchReport,
  type CaseReport,
  type LatencyResult,
  LEFT_OUT,
  type OutputFailure,
  type Result,
  type ThroughputResult,
  type UpkeepResult,
} from './results.ts';
import { integer } from './statistics.ts';

/** All of a report as text. */
export function renderReport(report: BenchReport): string {
  const { machine } = report;
  const load = (values: readonly number[]): string => values.map((value) => value.toFixed(2)).join(' ');
  const sections = [
    `Command: \`${report.command}\`. Commit ${report.commit}, ${report.date}, took ${report.seconds} s. Linux ${machine.kernel}, ${machine.cpu}, ${machine.cores} cores. ` +
      `Sender pinned to core ${machine.sender_core}, relay to core ${machine.relay_core}${machine.realtime ? ', all with real-time priority (SCHED_FIFO)' : ''}. ` +
      `Load average ${load(machine.load_before)} before, ${load(machine.load_after)} after.`,
    section('Highest rate without loss', throughputHead, report, throughputRow),
    checkedAtLessList(report.cases),
    wrongOutputsList(report.cases),
    section('Latency', latencyHead, report, latencyRow),
    section('Upkeep', upkeepHead, report, upkeepRow),
    outputFailures(report),
    notAvailable(report),
    mustHold(report),
  ];
  return sections.filter((text) => text !== '').join('\n\n');
}

function section<Kind extends Result['kind']>(
  title: string,
  head: readonly string[],
  report: BenchReport,
  row: (one: CaseReport, result: Extract<Result, { kind: Kind }>) => string[] | undefined,
): string {
  const rows = report.cases.flatMap((one) =>
    one.results
      .map((result) => row(one, result as Extract<Result, { kind: Kind }>))
      .filter((cells) => cells !== undefined),
  );
  return rows.length === 0 ? '' : `#### ${title}\n\n${markdownTable(head, rows)}`;
}

const throughputHead = [
  'case',
  'relay',
  'in, pps',
  'out, pps',
  'limit',
  'relay CPU s/M out',
  'sender CPU s/M in',
  '/ socat tuned',
  '/ kernel MFC',
  'checked, at pps in',
  'disturbed',
];

function throughputRow({ title }: CaseReport, result: Result): string[] | undefined {
  if (result.kind !== 'throughput') return undefined;
  return [
    title,
    result.engine,
    `${result.limited_by === 'sender' ? '>= ' : ''}${integer(result.in_pps)}`,
    `${result.limited_by === 'sender' ? '>= ' : ''}${integer(result.out_pps)}`,
    `${result.limited_by}${result.confirmed < CONFIRMATIONS ? ` (${result.confirmed} of ${CONFIRMATIONS})` : ''}`,
    result.relay_cpu_seconds_per_million?.toString() ?? 'n/a',
    result.sender_cpu_seconds_per_million?.toString() ?? 'n/a',
    ratio(result.ratio, 'socat-tuned'),
    ratio(result.ratio, 'kernel-mfc'),
    checkVerdict(result),
    disturbed(result),
  ];
}

function disturbed({ disturbance }: ThroughputResult): string {
  if (disturbance.in_the_answer) return `yes (${disturbance.foreign_cores} cores)`;
  return disturbance.repeated > 0 ? `${disturbance.repeated} repeated` : 'no';
}

const latencyHead = [
  'case',
  'relay',
  'p50 us',
  'p99 us',
  'p99.9 us',
  'without relay p50 / p99 us',
  'added p50 / p99 us',
  'added p50 / MFC',
  'added p50 / socat',
  'added p99 / socat',
  'lost, damaged',
  'foreign cores',
];

function latencyRow({ title }: CaseReport, result: Result): string[] | undefined {
  if (result.kind !== 'latency') return undefined;
  const one: LatencyResult = result;
  return [
    title,
    one.engine,
    one.p50_us.toString(),
    one.p99_us.toString(),
    one.p999_us.toString(),
    `${one.without_relay.p50_us} / ${one.without_relay.p99_us}`,
    `${one.added.p50_us} / ${one.added.p99_us}`,
    ratio(one.ratio_added_p50, 'kernel-mfc'),
    ratio(one.ratio_added_p50, 'socat'),
    ratio(one.ratio_added_p99, 'socat'),
    [integer(one.lost), ...damageList(one)].join(', '),
    one.foreign_cores.toString(),
  ];
}

const upkeepHead = [
  'case',
  'relay',
  'CPU, % of a core',
  'over s',
  'wanted arrived',
  'resident MB',
  'of which ring MB',
  'apply ms',
  'change of one, ms',
  'foreign cores',
];

function upkeepRow({ title }: CaseReport, result: Result): string[] | undefined {
  if (result.kind !== 'upkeep') return undefined;
  const one: UpkeepResult = result;
  return [
    title,
    one.engine,
    (one.cpu_share * 100).toFixed(2),
    one.seconds.toString(),
    wantedText(one.wanted),
    (one.resident_bytes / 1e6).toFixed(0),
    (one.ring_bytes / 1e6).toFixed(0),
    one.apply_ms === null ? 'n/a' : one.apply_ms.toFixed(0),
    one.change_ms === null ? '-' : `${one.change_ms.median} (most ${one.change_ms.most})`,
    one.foreign_cores.toString(),
  ];
}

function wantedText(wanted: UpkeepResult['wanted']): string {
  if (wanted === null) return '-';
  return [`${integer(wanted.received)} of ${integer(wanted.sent)}`, ...damageList(wanted)].join(', ');
}

const failureHead = ['output interface', 'relay', 'pps in', 'others', 'copies for them', 'lost', 'foreign cores'];
const failureNames: Readonly<Record<OutputFailure['how'], string>> = {
  down: 'set down',
  stripped: 'stripped of its address',
  full: 'made full',
  deleted: 'deleted',
};

function outputFailures({ cases }: BenchReport): string {
  const rows = cases.flatMap(({ results }) =>
    results.flatMap((result) => {
      if (result.kind !== 'output-failure') return [];
      return result.failures.map(({ how, others, expected, arrived }) => [
        failureNames[how],
        result.engine,
        integer(result.rate),
        others.toString(),
        integer(expected),
        integer(expected - arrived),
        result.foreign_cores.toString(),
      ]);
    }),
  );
  return rows.length === 0 ? '' : `#### What other outputs lose while one fails\n\n${markdownTable(failureHead, rows)}`;
}

function mustHold({ must_hold: requirements, cases }: BenchReport): string {
  // With --only most lines are about cases that nobody asked for.
  const asked = requirements.filter(({ needs }) => cases.some(({ id }) => needs.includes(id)));
  const rows = asked.map(({ what, bound, figure, verdict, why }) => [verdict, what, bound, figure ?? '-', why]);
  const counting = requirements.filter(({ counts }) => counts);
  const held = counting.filter(({ verdict }) => verdict === 'HOLDS').length;
  const rest = requirements.length - asked.length;
  const silent = rest === 0 ? '' : `\n\n${rest} more are about cases that were not asked for.`;
  const head = ['verdict', 'what', 'bound', 'reached', 'from, or why not'];
  return `#### Must hold: ${held} of ${counting.length} do\n\n${markdownTable(head, rows)}${silent}`;
}

function notAvailable(report: BenchReport): string {
  const lines = report.cases.flatMap(({ id, title, results }) =>
    results.flatMap((result) => {
      if (result.kind === 'not-available' && result.reason !== LEFT_OUT)
        return [`- ${id} (${title}), ${result.engine}: not available: ${result.reason}`];
      return result.kind === 'failed' ? [`- ${id} (${title}), ${result.engine}: FAILED: ${result.error}`] : [];
    }),
  );
  const left = report.cases.flatMap(({ id, results }) => {
    const relays = results.filter((one) => one.kind === 'not-available' && one.reason === LEFT_OUT);
    return relays.length === 0 ? [] : [`${id} (${relays.map(({ engine }) => engine).join(', ')})`];
  });
  if (left.length > 0) lines.push(`- ${LEFT_OUT}: ${left.join('; ')}`);
  return lines.length === 0 ? '' : `#### Not measured\n\n${lines.join('\n')}`;
}

function ratio(ratios: Readonly<Partial<Record<EngineName, number>>>, to: EngineName): string {
  const value = ratios[to];
  return value === undefined ? '-' : value.toFixed(2);
}
