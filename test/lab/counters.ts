/** What the kernel counted on one interface since it was made. */
export interface InterfaceCounters {
  readonly rxPackets: number;
  readonly rxBytes: number;
  readonly rxDropped: number;
  readonly txPackets: number;
  readonly txBytes: number;
  readonly txDropped: number;
}

/**
 * Reads /proc/net/netstat or /proc/net/snmp: pairs of lines, names and values, each after a prefix.
 *
 * @returns values by prefix and name, for example "TcpExtIPReversePathFilter".
 */
export function parseProtocolCounters(text: string): Map<string, number> {
  const counters = new Map<string, number>();
  const lines = text.split('\n').filter((line) => line !== '');
  for (let at = 0; at + 1 < lines.length; at += 2) {
    const [prefix, ...names] = (lines[at] ?? '').split(/\s+/);
    const [samePrefix, ...values] = (lines[at + 1] ?? '').split(/\s+/);
    if (prefix !== samePrefix) throw new Error(`line ${at + 2} does not belong to "${prefix}": ${lines[at + 1]}`);
    for (const [index, name] of names.entries()) {
      counters.set(`${prefix?.replace(/:$/, '')}${name}`, Number(values[index]));
    }
  }
  return counters;
}

/** Reads one interface's line of /proc/net/dev; `undefined` if it is not there. */
export function parseInterfaceCounters(text: string, name: string): InterfaceCounters | undefined {
  const line = text.split('\n').find((candidate) => candidate.trimStart().startsWith(`${name}:`));
  if (line === undefined) return undefined;
  // dev_seq_printf_stats() in net/core/net-procfs.c: 8 of receive, then 8 of transmit.
  const values = line
    .slice(line.indexOf(':') + 1)
    .trim()
    .split(/\s+/)
    .map(Number);
  const at = (index: number): number => values[index] ?? 0;
  return {
    rxBytes: at(0),
    rxPackets: at(1),
    rxDropped: at(3),
    txBytes: at(8),
    txPackets: at(9),
    txDropped: at(11),
  };
}
