import type { RelayInstance } from '@mcfleet/proto/mcfleet/v1/relay';

const columns = ['RELAY', 'HOST', 'OUTPUT', 'IN', 'OUT', 'PACKETS/S', 'DROPPED'] as const;

/** What is shown of one output of a relay on a host. */
export interface OutputRow {
  readonly relay: string;
  readonly host: string;
  readonly output: string;
  readonly packetsIn: bigint;
  readonly packetsOut: bigint;
  readonly packetsPerSecond: number;
  readonly dropped: bigint;
}

/** Turns counters, which arrive in intervals of the agents' choice, into rates. */
export class RateMeter {
  /** The last two different readings by output; `rate` is that between them. */
  readonly #readings = new Map<string, { time: number; packets: bigint; rate: number }>();

  /** One row per output, from the counters of this moment. */
  rows(instances: readonly RelayInstance[]): OutputRow[] {
    return instances.flatMap((instance) => {
      const time = instance.countersTime?.getTime() ?? 0;
      const shared = sum(instance.counters?.drops.map((drop) => drop.packets) ?? []);
      return (instance.counters?.outputs ?? []).map((output) => ({
        relay: instance.relay.replace('relays/', ''),
        host: instance.host.replace('hosts/', ''),
        output: output.output,
        packetsIn: instance.counters?.rxPackets ?? 0n,
        packetsOut: output.txPackets,
        packetsPerSecond: this.#rate(`${instance.name} ${output.output}`, time, output.txPackets),
        dropped: shared + sum(output.drops.map((drop) => drop.packets)),
      }));
    });
  }

  #rate(key: string, time: number, packets: bigint): number {
    const last = this.#readings.get(key);
    if (last !== undefined && time <= last.time) return last.rate;
    const rate = last === undefined ? 0 : (Number(packets - last.packets) * 1000) / (time - last.time);
    this.#readings.set(key, { time, packets, rate });
    return rate;
  }
}

/** Wide enough for what the demo counts, so that tables printed one below the other line up. */
const countWidth = 7;

/** The rows in columns, under a heading. */
export function renderTable(rows: readonly OutputRow[]): string[] {
  const cells = [
    [...columns],
    ...rows.map((row) => [
      row.relay,
      row.host,
      row.output,
      grouped(row.packetsIn),
      grouped(row.packetsOut),
      grouped(Math.round(row.packetsPerSecond)),
      grouped(row.dropped),
    ]),
  ];
  const widths = columns.map((_, column) =>
    Math.max(column < 3 ? 0 : countWidth, ...cells.map((line) => line[column]?.length ?? 0)),
  );
  return cells.map((line) =>
    line.map((cell, at) => (at < 3 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join('  '),
  );
}

/** 1234567 as "1,234,567". */
export function grouped(value: number | bigint): string {
  return value.toLocaleString('en-US');
}

function sum(values: readonly bigint[]): bigint {
  return values.reduce((total, value) => total + value, 0n);
}
