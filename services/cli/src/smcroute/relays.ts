import { addressKind, type IpAddress, isPtpGroup, isUnroutableGroup } from '@mcfleet/common/address';
import { RefusedConf } from './conf.ts';
import { addressesOf, canSend, contains, hostPrefix, type Prefix, prefixText, sizeOf } from './prefix.ts';
import { matches, type Route, type Routes } from './routes.ts';

/** Sources of one relay at most, taken or excluded. */
const maxSources = 64;
/** Relays of one configuration at most: as many as `apply` takes at once. */
const maxRelays = 10_000;

/** A relay that takes some packets of a route, and forwards them to the outputs that share a TTL threshold. */
export interface RelayDraft {
  readonly from: string;
  readonly group: string;
  /** Empty: any but the excluded ones. */
  readonly sources: readonly string[];
  readonly excludeSources: readonly string[];
  readonly outputs: readonly string[];
  /** Undefined: any that can be lowered. */
  readonly minTtl: number | undefined;
  readonly allowPtp: boolean;
  /** Indexes of the lines that it is made from. */
  readonly lines: readonly number[];
}

/** Relays, and what there is to tell of lines. */
export interface RelayDrafts {
  readonly drafts: readonly RelayDraft[];
  readonly notes: readonly (readonly string[])[];
}

/**
 * The relays that forward what routes do.
 *
 * @param expand relays that a route of many groups or sources becomes at most; of one that would be more, no relay is made
 * @throws RefusedConf if they are more than `apply` takes
 */
export function relaysOf(routes: Routes, expand: number): RelayDrafts {
  const maker = new RelayMaker(routes, expand);
  for (const route of joinSources(routes.exact)) maker.addExact(route);
  routes.templates.forEach((template, index) => {
    maker.addTemplate(template, routes.templates.slice(0, index));
  });
  return { drafts: maker.drafts, notes: maker.notes };
}

/** Routes of one group that differ in their source alone. */
interface SourcesRoute {
  readonly route: Route;
  readonly sources: Prefix[];
  readonly lines: Set<number>;
}

function joinSources(exact: readonly Route[]): Iterable<SourcesRoute> {
  const joined = new Map<string, SourcesRoute>();
  for (const route of exact) {
    const key = `${route.from} ${prefixText(route.group)} ${[...route.outputs].sort().join(' ')}`;
    const same = joined.get(key) ?? { route, sources: [], lines: new Set() };
    joined.set(key, same);
    if (route.source !== undefined) same.sources.push(route.source);
    for (const line of route.lines) same.lines.add(line);
  }
  return joined.values();
}

class RelayMaker {
  readonly drafts: RelayDraft[] = [];
  readonly notes: string[][];
  readonly #exactByGroup: ReadonlyMap<string, readonly Route[]>;
  readonly #expand: number;

  constructor(routes: Routes, expand: number) {
    this.notes = routes.notes.map((notes) => [...notes]);
    this.#exactByGroup = Map.groupBy(routes.exact, ({ group }) => prefixText(group));
    this.#expand = expand;
  }

  addExact({ route, sources, lines }: SourcesRoute): void {
    const whose = { ...route, lines };
    const [group] = addressesOf(route.group);
    if (group === undefined || !this.#isRoutable(group, whose)) return;
    const senders = sources.flatMap((source) => [...addressesOf(source)]);
    for (const sender of senders.filter((one) => !canSend(one))) {
      this.#note(whose, `no packet comes from ${sender.text}`);
    }
    const texts = senders.filter(canSend).map(({ text }) => text);
    this.#add(whose, group, { sources: texts, excludeSources: [] });
  }

  addTemplate(template: Route, earlier: readonly Route[]): void {
    const { group: groups, source } = template;
    const bySource = source === undefined ? 1n : (sizeOf(source) + BigInt(maxSources - 1)) / BigInt(maxSources);
    const needed = sizeOf(groups) * bySource;
    if (needed > BigInt(this.#expand)) {
      const flow = `${source === undefined ? 'any source' : prefixText(source)}, group ${prefixText(groups)}`;
      this.#note(template, `no relay: ${flow} would be ${needed} relays; --expand ${needed} makes them, 10000 at most`);
      return;
    }
    for (const group of addressesOf(groups)) {
      if (this.#isRoutable(group, template)) this.#addGroup(template, group, earlier);
    }
  }

  /** What of a group no other route takes: those of one source, and templates before this one. */
  #addGroup(template: Route, group: IpAddress, earlier: readonly Route[]): void {
    const at = hostPrefix(group);
    const { from, source } = template;
    const before = earlier.filter((other) => other.from === from && contains(other.group, at));
    if (before.some((other) => matches(other, { from, source, group: at }))) {
      this.#note(template, 'no relay where a line before takes the packets: smcroute uses the first that matches');
      return;
    }
    const exact = this.#exactByGroup.get(group.text) ?? [];
    const others = [...exact, ...before].flatMap((route) => (route.source === undefined ? [] : [route.source]));
    if (source !== undefined) {
      const left = [...addressesOf(source)].filter((one) => !others.some((other) => contains(other, hostPrefix(one))));
      const sources = left.filter(canSend).map(({ text }) => text);
      if (sources.length === 0)
        this.#note(template, 'no relay where other lines take all sources, or none of them can send');
      this.#add(template, group, { sources, excludeSources: [] });
      return;
    }
    const excluded = others.reduce((sum, prefix) => sum + sizeOf(prefix), 0n);
    const texts =
      excluded > 100_000n
        ? undefined
        : new Set(others.flatMap((other) => [...addressesOf(other)].filter(canSend).map(({ text }) => text)));
    if (texts === undefined || texts.size > maxSources) {
      this.#note(
        template,
        `no relay where other lines take more than ${maxSources} sources of a group: a relay cannot leave out more`,
      );
      return;
    }
    this.#add(template, group, { sources: undefined, excludeSources: [...texts] });
  }

  /** @param senders whose packets are taken: undefined means any but the excluded ones */
  #add(
    route: Route,
    group: IpAddress,
    senders: { readonly sources: readonly string[] | undefined; readonly excludeSources: readonly string[] },
  ): void {
    if (senders.sources?.length === 0) return;
    if (route.outputs.size === 0) {
      this.#note(route, 'no relay: without interfaces after "to" smcroute drops these packets');
      return;
    }
    // The kernel's IPv6 routes know no thresholds (struct mf6cctl holds interfaces alone).
    const byThreshold = Map.groupBy(this.#usable(route), ([, threshold]) => (group.family === 4 ? threshold : 1));
    const chunks = senders.sources === undefined ? [[]] : chunksOf(senders.sources, maxSources);
    for (const sources of chunks) {
      for (const [threshold, outputs] of byThreshold) {
        if (this.drafts.length >= maxRelays) {
          throw new RefusedConf([`more than ${maxRelays} relays: give a smaller --expand, or split the configuration`]);
        }
        this.drafts.push({
          from: route.from,
          group: group.text,
          sources,
          excludeSources: senders.excludeSources,
          outputs: outputs.map(([name]) => name),
          minTtl: threshold === 1 ? undefined : threshold + 1,
          allowPtp: isPtpGroup(group),
          lines: [...route.lines],
        });
      }
    }
  }

  #usable({ from, group, outputs, lines }: Pick<Route, 'from' | 'group' | 'outputs' | 'lines'>): [string, number][] {
    return [...outputs].filter(([name, threshold]) => {
      if (name === from) {
        this.#note(
          { lines },
          `not to ${name}, where the packets come from: the kernel would send a copy back there, a relay does not`,
        );
      } else if (threshold === 255 && group.family === 4) {
        this.#note({ lines }, `not to ${name}: no TTL is higher than ttl-threshold 255`);
      } else return true;
      return false;
    });
  }

  #isRoutable(group: IpAddress, route: Pick<Route, 'lines'>): boolean {
    if (!isUnroutableGroup(group) && addressKind(group) === 'multicast') return true;
    this.#note(
      route,
      `no relay for ${group.family === 4 ? '224.0.0.0/24' : 'groups of link-local scope'}: the kernel never routes it, so smcroute forwards nothing`,
    );
    return false;
  }

  /** To each of the route's lines, once. */
  #note({ lines }: Pick<Route, 'lines'>, text: string): void {
    for (const line of lines) {
      const notes = this.notes[line];
      if (notes !== undefined && !notes.includes(text)) notes.push(text);
    }
  }
}

function chunksOf<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
}
