import { quote } from '@mcfleet/common/quote';
import { contains, type Prefix, parsePrefix } from './prefix.ts';

/** Which packets of an interface a line is about. Without `source` from anyone. */
export interface Flow {
  /** Interface, or the beginning of interfaces' names and "+". */
  readonly from: string;
  readonly source: Prefix | undefined;
  readonly group: Prefix;
}

/** What a line of smcroute.conf says. */
export type Statement =
  | {
      readonly kind: 'phyint';
      readonly interfaces: string;
      /** Undefined if the line does not say: then as smcrouted was started. */
      readonly enable: boolean | undefined;
      readonly routerDiscovery: boolean;
      /** 1 to 255; a packet is forwarded if its TTL is higher. */
      readonly threshold: number;
    }
  | ({ readonly kind: 'mgroup' } & Flow)
  | ({ readonly kind: 'mroute'; readonly to: readonly string[] } & Flow)
  | { readonly kind: 'include'; readonly pattern: string };

/** A line as it was read. */
export interface ReadLine {
  /** Undefined if the line is empty, a comment, or wrong. */
  readonly statement?: Statement;
  /** Why smcroute refuses it. */
  readonly problems: readonly string[];
  /** What smcroute passes over in silence, or understands otherwise than one may think. */
  readonly notes: readonly string[];
}

/** smcroute reads this many bytes at once and takes the rest of a line for another one. */
const maxLineBytes = 511;
/** Interfaces after `to` (MAX_MC_VIFS); one more and smcroute 2.5.6 writes beyond its array. */
const maxOutputs = 32;

const commands = ['mgroup', 'mroute', 'phyint', 'ssmgroup', 'include'] as const;
const keywords = ['from', 'source', 'group', 'to', 'enable', 'disable', 'mrdisc', 'ttl-threshold'] as const;

/** Values of keywords. Of one that is given twice the last counts. */
type Values = Partial<Record<(typeof keywords)[number], string>>;

/**
 * Reads one line of smcroute.conf as smcroute 2.5.6 does: a keyword counts by how a word begins, and words that are none are passed
 * over. (A backslash at the end of a line means nothing to smcroute.)
 */
export function readLine(text: string): ReadLine {
  const words = text.split(/[ \t\r\v\f\0]+/).filter((word) => word !== '');
  const [head = '#', ...rest] = words;
  if (head.startsWith('#')) return { problems: [], notes: [] };
  if (Buffer.byteLength(text) > maxLineBytes) {
    return refused(`is longer than ${maxLineBytes} bytes: smcroute takes the rest for another line`);
  }
  const command = commands.find((name) => head.startsWith(name));
  switch (command) {
    case undefined:
      return refused(`${quote(head)} is not a command: phyint, mgroup, mroute and include are`);
    case 'include':
      return include(rest);
    case 'phyint':
      return phyint(rest);
    default:
      return flow(command === 'mroute' ? 'mroute' : 'mgroup', rest);
  }
}

/** Whether an interface can have this name (`dev_valid_name` of the kernel), a "+" at its end aside. */
export function isInterfaceName(name: string): boolean {
  return Buffer.byteLength(name) <= 15 && name !== '.' && name !== '..' && /^[^\p{Cc}\s/:]+$/u.test(name);
}

function refused(...problems: string[]): ReadLine {
  return { problems, notes: [] };
}

function include(words: readonly string[]): ReadLine {
  const [pattern, ...rest] = words;
  if (pattern === undefined) return refused('include needs a file');
  return { statement: { kind: 'include', pattern }, problems: [], notes: ignoredNote(comment(rest)) };
}

function phyint(words: readonly string[]): ReadLine {
  const [interfaces, ...rest] = words;
  if (interfaces === undefined) return refused('phyint needs an interface');
  const { values, ignored } = readValues(rest);
  const given = values['ttl-threshold'];
  const threshold = given === undefined || given === '' ? 1 : Number.parseInt(given, 10) || 0;
  const problems = interfaceProblems([interfaces]);
  if (threshold < 1 || threshold > 255) {
    problems.push(`ttl-threshold ${quote(given ?? '')} is not a threshold: it must be 1 to 255`);
  }
  if (problems.length > 0) return refused(...problems);
  // Of the two words the later counts, and values are in the order of the line.
  const enable = Object.keys(values).findLast((key) => key === 'enable' || key === 'disable');
  return {
    statement: {
      kind: 'phyint',
      interfaces,
      enable: enable === undefined ? undefined : enable === 'enable',
      routerDiscovery: values.mrdisc !== undefined,
      threshold,
    },
    problems,
    notes: ignoredNote(ignored),
  };
}

function flow(kind: 'mgroup' | 'mroute', words: readonly string[]): ReadLine {
  const { values, to, ignored, commented } = readValues(words);
  const problems: string[] = [];
  if (!values.from) problems.push(`${kind} needs "from" and an interface`);
  if (!values.group) problems.push(`${kind} needs "group" and an address`);
  if (to.length > maxOutputs) problems.push(`${to.length} interfaces after "to"; at most ${maxOutputs} are allowed`);
  problems.push(...interfaceProblems([...(values.from ? [values.from] : []), ...to]));
  const group = values.group ? readAddress('group', values.group, problems) : undefined;
  if (group !== undefined && !isMulticast(group)) problems.push(`group ${quote(values.group ?? '')} is not multicast`);
  const written = values.source ? readAddress('source', values.source, problems) : undefined;
  // 0.0.0.0 and :: are any source, also of the other family.
  const source = written?.value === 0n ? undefined : written;
  if (source !== undefined && group !== undefined && source.family !== group.family) {
    problems.push(`source ${quote(values.source ?? '')} and group ${quote(values.group ?? '')} are not of one family`);
  }
  if (problems.length > 0 || group === undefined || values.from === undefined) return refused(...problems);
  const notes = ignoredNote(kind === 'mroute' ? ignored : [...ignored, ...to]);
  if (commented) notes.push('words after "#" are taken for a comment; smcroute takes them for more interfaces here');
  const said = { from: values.from, source, group };
  const statement: Statement = kind === 'mroute' ? { kind, ...said, to: [...new Set(to)] } : { kind, ...said };
  return { statement, problems, notes };
}

function isMulticast(group: Prefix): boolean {
  const all: Prefix = group.family === 4 ? { family: 4, value: 0xe0000000n, length: 4 } : ipv6Groups;
  return contains(all, { ...group, length: group.family === 4 ? 32 : 128 });
}

const ipv6Groups: Prefix = { family: 6, value: 0xffn << 120n, length: 8 };

function readAddress(what: string, text: string, problems: string[]): Prefix | undefined {
  const prefix = parsePrefix(text);
  if (typeof prefix !== 'string') return prefix;
  problems.push(`${what} ${quote(text)} ${prefix}`);
  return undefined;
}

function interfaceProblems(names: readonly string[]): string[] {
  return names
    .filter((name) => name !== '+' && !isInterfaceName(name.replace(/\+$/, '')))
    .map((name) => `${quote(name)} cannot be an interface`);
}

interface ReadValues {
  readonly values: Values;
  readonly to: readonly string[];
  readonly ignored: readonly string[];
  /** Whether there is a comment behind the interfaces. */
  readonly commented: boolean;
}

function readValues(words: readonly string[]): ReadValues {
  let values: Values = {};
  const ignored: string[] = [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? '';
    if (word.startsWith('#')) break;
    const keyword = keywords.find((name) => word.startsWith(name));
    if (keyword === undefined) {
      ignored.push(word);
      continue;
    }
    if (keyword === 'to') {
      const rest = words.slice(i + 1);
      const to = comment(rest);
      return { values, to, ignored, commented: to.length < rest.length };
    }
    const { [keyword]: _, ...others } = values;
    const isFlag = keyword === 'enable' || keyword === 'disable' || keyword === 'mrdisc';
    values = { ...others, [keyword]: isFlag ? '' : (words[++i] ?? '') };
  }
  return { values, to: [], ignored, commented: false };
}

/** Words before a comment. */
function comment(words: readonly string[]): readonly string[] {
  const at = words.findIndex((word) => word.startsWith('#'));
  return at < 0 ? words : words.slice(0, at);
}

function ignoredNote(words: readonly string[]): string[] {
  return words.length === 0 ? [] : [`smcroute passes over ${words.map(quote).join(' ')}`];
}
