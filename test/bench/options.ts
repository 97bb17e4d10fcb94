import { parseArgs } from 'node:util';
import type { BenchCase } from './case.ts';
import { benchCases } from './cases.ts';
import { type EngineName, engineNames } from './engine.ts';

/** What the command line asks for. */
export type BenchCommand =
  | {
      readonly kind: 'run';
      readonly cases: readonly BenchCase[];
      /** Only these relays. */
      readonly relays: readonly EngineName[];
      /** Shorter attempts. */
      readonly quick: boolean;
      /** Without the cases that `--quick` leaves out. */
      readonly fewer: boolean;
      readonly realtime: boolean;
      readonly verbose: boolean;
      readonly json: string | undefined;
      readonly writeDocs: boolean;
      /** What must hold and does not makes the run fail. */
      readonly require: boolean;
    }
  | { readonly kind: 'print'; readonly text: string }
  | { readonly kind: 'usage-error'; readonly message: string };

const HELP = `Usage: npm run bench [-- [--quick] [--realtime] [--only CASE[,CASE...]] [--relays RELAY[,RELAY...]] [--json FILE]
                           [--write-docs] [--require] [--verbose]]

Measures mcfleet's data plane and its peers (socat, the kernel's multicast routing set up by smcrouted) in network namespaces, in one run:
the highest rate without loss, latency, and what an idle relay uses. It needs two cores that nobody else uses; it notices who does, repeats
what was disturbed, and says so. At the end it judges what must hold, line by line: HOLDS, FAILS, or NOT MEASURED and why. Of the ways to set
a relay (spinning, exclusive input, or neither) the best counts; what the default alone reaches stands beside it, for comparison. Latency
is judged by what is added to that of the path without a relay.

  --quick       shorter attempts and fewer cases; about two minutes
  --realtime    give sender, relays and peers real-time priority (SCHED_FIFO): for a machine that others use, whose work then waits
  --only CASES  only these, also such as --quick leaves out
  --relays ...  only these: ${engineNames.join(', ')}
  --json FILE   also write the figures as JSON; test/bench/results.ts describes them
  --write-docs  also write the figures into docs/measurements.md; of a whole run only
  --require     end with status 1 if a line of what must hold does not hold, also if it was not measured
  --verbose     print every attempt
  --list        print the cases
  --help        print this

Exit status: 0 if everything could be measured, whatever the figures are (with --require: if all of them are as they must be); 1 if not; 2 usage.
`;

/** Reads the command line. */
export function parseCommand(args: readonly string[]): BenchCommand {
  let values: {
    quick?: boolean;
    realtime?: boolean;
    verbose?: boolean;
    only?: string;
    relays?: string;
    json?: string;
    'write-docs'?: boolean;
    require?: boolean;
    list?: boolean;
    help?: boolean;
  };
  try {
    ({ values } = parseArgs({
      args: [...args],
      options: {
        quick: { type: 'boolean' },
        realtime: { type: 'boolean' },
        verbose: { type: 'boolean' },
        only: { type: 'string' },
        relays: { type: 'string' },
        json: { type: 'string' },
        'write-docs': { type: 'boolean' },
        require: { type: 'boolean' },
        list: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    }));
  } catch (error) {
    return { kind: 'usage-error', message: error instanceof Error ? error.message : String(error) };
  }
  if (values.help === true) return { kind: 'print', text: HELP };
  if (values.list === true) {
    const width = Math.max(...benchCases.map(({ id }) => id.length));
    return { kind: 'print', text: benchCases.map(({ id, title }) => `${id.padEnd(width)}  ${title}\n`).join('') };
  }
  const quick = values.quick === true;
  const wanted = values.only?.split(',');
  const unknown = wanted?.filter((id) => !benchCases.some((one) => one.id === id)) ?? [];
  if (unknown.length > 0) {
    const known = benchCases.map(({ id }) => id).join(', ');
    return { kind: 'usage-error', message: `--only: there is no case ${unknown.join(', ')}; there are: ${known}` };
  }
  const relays = values.relays?.split(',') ?? engineNames;
  const unknownRelays = relays.filter((name) => !engineNames.some((one) => one === name));
  if (unknownRelays.length > 0) {
    const message = `--relays: there is no ${unknownRelays.join(', ')}; there are: ${engineNames.join(', ')}`;
    return { kind: 'usage-error', message };
  }
  const writeDocs = values['write-docs'] === true;
  const part = (['quick', 'only', 'relays'] as const).filter((name) => values[name] !== undefined);
  if (writeDocs && part.length > 0) {
    const message = `--write-docs writes the figures of a whole run over those that are there: leave out --${part.join(', --')}, or use --json`;
    return { kind: 'usage-error', message };
  }
  const cases = wanted === undefined ? benchCases : benchCases.filter(({ id }) => wanted.includes(id));
  if (!cases.some(({ engines }) => engines.some((name) => relays.includes(name)))) {
    const message = `--relays: none of ${relays.join(', ')} relays in ${values.only ?? 'any case'}`;
    return { kind: 'usage-error', message };
  }
  return {
    kind: 'run',
    relays: engineNames.filter((name) => relays.includes(name)),
    cases,
    quick,
    fewer: quick && wanted === undefined,
    realtime: values.realtime === true,
    verbose: values.verbose === true,
    json: values.json,
    writeDocs,
    require: values.require === true,
  };
}
