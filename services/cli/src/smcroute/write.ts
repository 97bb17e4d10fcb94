import { apiVersion, relayKind } from '../document/relay-document.ts';
import { toYaml } from '../document/write.ts';
import { printable } from '../text/printable.ts';
import type { ConfLine } from './conf.ts';
import { RelayNames } from './relay-names.ts';
import type { RelayDraft, RelayDrafts } from './relays.ts';

/** Names of the relays of a line that its comment tells, at most. */
const maxNamed = 3;

/** Whom relays are for. */
export interface Target {
  /** Names of hosts; at least one. */
  readonly hosts: readonly string[];
  /** What names of relays begin with. */
  readonly prefix: string;
}

/** What relays do otherwise than smcroute, whatever the configuration says. */
const differences = `Made from the configuration of smcroute. What is different, whatever it says:
- A relay takes UDP; the kernel's routes take every protocol.
- A relay joins its group itself, from the sources that it takes. Neither mgroup nor mrdisc is needed for that.
- smcroute drops packets that arrive with TTL 1. Where the userspace engine forwards them, they leave with TTL 1: write
  "loopProtection: {minTtl: 2}" into the spec if they shall be dropped. A higher ttl-threshold of smcroute becomes such a minTtl. None of
  the two sets a TTL: packets leave with one less.
- Interfaces that do not exist yet are waited for. Routing tables (smcrouted -t) need no choice.
- smcroute learns sources from their first packets, and may lose some of these; a relay does not.`;

/**
 * Relay documents as text: each line of the configuration as a comment, with what there is to tell of it, followed by the relays that it is
 * the first line of.
 */
export function writeRelays(lines: readonly ConfLine[], { drafts, notes }: RelayDrafts, target: Target): string {
  const names = new RelayNames(target.prefix);
  const inOrder = drafts.toSorted((a, b) => Math.min(...a.lines) - Math.min(...b.lines));
  const relays = inOrder.map((draft) => ({ draft, name: names.next(draft) }));
  const byLine = new Map<number, string[]>();
  for (const { draft, name } of relays) {
    for (const line of draft.lines) byLine.set(line, [...(byLine.get(line) ?? []).slice(0, maxNamed), name]);
  }
  const counts = new Map<number, number>();
  for (const { draft } of relays) for (const line of draft.lines) counts.set(line, (counts.get(line) ?? 0) + 1);
  const ofFirstLine = Map.groupBy(relays, ({ draft }) => Math.min(...draft.lines));
  const parts = lines.map((line, index) => {
    const fate = fateOf(line, { names: byLine.get(index) ?? [], count: counts.get(index) ?? 0 });
    const told = [...(fate === undefined ? [] : [fate]), ...(notes[index] ?? [])];
    const head = comment([`${line.file}:${line.line}: ${line.text}`, ...told.map((note) => `  ${note}`)]);
    const documents = (ofFirstLine.get(index) ?? []).map(({ draft, name }) => document(draft, name, target));
    return [head, ...documents].join('');
  });
  return `${comment(differences.split('\n'))}\n${parts.join('\n')}`;
}

function comment(lines: readonly string[]): string {
  return lines.map((line) => `# ${printable(line)}`.trimEnd().concat('\n')).join('');
}

/** What became of a line, unless notes tell. */
function fateOf(
  { statement }: ConfLine,
  relays: { readonly names: readonly string[]; readonly count: number },
): string | undefined {
  switch (statement.kind) {
    case 'include':
      return undefined;
    case 'phyint': {
      const threshold =
        statement.threshold > 1 ? `; ttl-threshold becomes minTtl ${statement.threshold + 1} of relays` : '';
      const discovery = statement.routerDiscovery
        ? '; mrdisc: no multicast router discovery, relays join their groups'
        : '';
      return `no equivalent is needed: relays choose interfaces themselves${threshold}${discovery}`;
    }
    case 'mgroup':
      return 'no equivalent: only relays join groups, and each joins its own';
    case 'mroute': {
      const { names, count } = relays;
      if (count === 0) return undefined;
      const more = count > maxNamed ? ` and ${count - maxNamed} more` : '';
      return `relay ${names.slice(0, maxNamed).join(', ')}${more}`;
    }
  }
}

function document(draft: RelayDraft, name: string, { hosts }: Target): string {
  const { from, group, sources, excludeSources, minTtl, allowPtp } = draft;
  return `---\n${toYaml({
    apiVersion,
    kind: relayKind,
    metadata: { name, labels: { 'imported-from': 'smcroute' } },
    spec: {
      hosts: { names: hosts },
      engine: 'AUTO',
      input: {
        interface: from,
        group,
        ...(sources.length > 0 ? { sources } : {}),
        ...(excludeSources.length > 0 ? { excludeSources } : {}),
      },
      outputs: draft.outputs.map((output) => ({ interface: output, source: 'KEEP' })),
      ...(minTtl === undefined ? {} : { loopProtection: { minTtl } }),
      ...(allowPtp ? { allowPtp } : {}),
    },
  })}`;
}
