import { type ConfLine, RefusedConf } from './conf.ts';
import { Interfaces, namedInterfaces } from './interfaces.ts';
import { contains, isHost, type Prefix, prefixText } from './prefix.ts';
import type { Statement } from './statement.ts';

/** Packets of one interface and where they go. */
export interface Route {
  readonly from: string;
  /** Undefined: any. */
  readonly source: Prefix | undefined;
  readonly group: Prefix;
  /** Interfaces with their TTL thresholds; none: packets are dropped. */
  readonly outputs: Map<string, number>;
  /** Indexes of the lines that made it. */
  readonly lines: Set<number>;
}

/** What smcroute makes of its lines. */
export interface Routes {
  /** Of one source and one group; the kernel holds one of each, and looks here first. */
  readonly exact: readonly Route[];
  /** Of any other packet the first one that matches counts. */
  readonly templates: readonly Route[];
  /** What there is to tell of each line. */
  readonly notes: readonly (readonly string[])[];
}

/** What is known beside the configuration. */
export interface RouteOptions {
  /** The host's interfaces, in the order of their numbers; undefined: those that the configuration names. */
  readonly interfaces: readonly string[] | undefined;
  /** As `smcrouted -N`: only interfaces that phyint lines enable are used. */
  readonly onlyEnabled: boolean;
}

/**
 * Follows the lines as smcroute 2.5.6 does (mroute.c).
 *
 * @throws RefusedConf if a line takes packets from an interface that is disabled, or a pattern matches none
 */
export function routesOf(lines: readonly ConfLine[], options: RouteOptions): Routes {
  const table = new RouteTable(options.interfaces ?? namedInterfaces(lines), options);
  lines.forEach((line, index) => {
    table.take(line, index);
  });
  if (table.problems.length > 0) throw new RefusedConf(table.problems);
  return table.routes();
}

type Mroute = Extract<Statement, { kind: 'mroute' }>;

class RouteTable {
  readonly problems: string[] = [];
  readonly #interfaces: Interfaces;
  readonly #givenNames: boolean;
  /** By group, by source, by input; of the inputs the one that was changed last is in the kernel. */
  readonly #exact = new Map<string, Map<string, Map<string, Route>>>();
  readonly #templates = new Map<string, Route>();
  readonly #notes: string[][] = [];

  constructor(names: readonly string[], options: RouteOptions) {
    this.#interfaces = new Interfaces(names, !options.onlyEnabled);
    this.#givenNames = options.interfaces !== undefined;
  }

  take(line: ConfLine, index: number): void {
    const { statement } = line;
    const notes = [...line.notes];
    this.#notes.push(notes);
    if (statement.kind === 'phyint') this.#interfaces.set(statement.interfaces, statement);
    if (statement.kind !== 'mroute') return;
    const inputs = this.#interfaces.find(statement.from);
    if (inputs.length === 0) {
      this.problems.push(`${line.file}:${line.line}: ${this.#whyNone(statement.from)}`);
      return;
    }
    const outputs = this.#outputs(statement, notes);
    for (const from of inputs) this.#add({ ...statement, from }, outputs, index);
  }

  routes(): Routes {
    const exact = this.#ofGroups(undefined).map((byInput) => [...byInput.values()]);
    for (const routes of exact) {
      const current = routes.at(-1);
      for (const replaced of routes.slice(0, -1)) {
        for (const line of replaced.lines) {
          this.#notes[line]?.push(
            `the kernel holds one route of a source and group, so what comes in on ${replaced.from} is not forwarded: that of ${current?.from} came later`,
          );
        }
      }
    }
    return {
      exact: exact.flatMap((routes) => routes.slice(-1)),
      templates: [...this.#templates.values()],
      notes: this.#notes,
    };
  }

  #add({ from, source, group }: Mroute, outputs: ReadonlyMap<string, number>, line: number): void {
    if (source !== undefined && isHost(source) && isHost(group)) {
      this.#merge({ from, source, group, outputs, lines: [line] });
      return;
    }
    const key = `${from} ${source === undefined ? '*' : prefixText(source)} ${prefixText(group)}`;
    const template = this.#templates.get(key) ?? { from, source, group, outputs: new Map(), lines: new Set() };
    this.#templates.set(key, template);
    template.lines.add(line);
    for (const [name, threshold] of outputs) template.outputs.set(name, threshold);
    // Routes that it matches and that are there already get its outputs; those that come later do not.
    for (const byInput of this.#ofGroups(isHost(group) ? group : undefined)) {
      const route = byInput.get(from);
      if (route !== undefined && matches(template, route)) this.#merge({ ...route, ...template, ...addresses(route) });
    }
  }

  /** Adds outputs to a route of one source and group, and brings it into the kernel. */
  #merge(
    added: Pick<Route, 'from' | 'source' | 'group'> & {
      readonly outputs: ReadonlyMap<string, number>;
      readonly lines: Iterable<number>;
    },
  ): void {
    const group = prefixText(added.group);
    const bySource = this.#exact.get(group) ?? new Map<string, Map<string, Route>>();
    this.#exact.set(group, bySource);
    const source = `${added.source?.value}`;
    const byInput = bySource.get(source) ?? new Map<string, Route>();
    bySource.set(source, byInput);
    const route = byInput.get(added.from) ?? { ...added, outputs: new Map(), lines: new Set() };
    byInput.delete(added.from);
    byInput.set(added.from, route);
    for (const [name, threshold] of added.outputs) route.outputs.set(name, threshold);
    for (const line of added.lines) route.lines.add(line);
  }

  /** Routes of one source and of one group, or of every group, by input. */
  #ofGroups(group: Prefix | undefined): Map<string, Route>[] {
    const bySource =
      group === undefined
        ? [...this.#exact.values()]
        : [this.#exact.get(prefixText(group)) ?? new Map<string, never>()];
    return bySource.flatMap((routes) => [...routes.values()]);
  }

  #outputs({ to }: Mroute, notes: string[]): Map<string, number> {
    const outputs = new Map<string, number>();
    for (const pattern of to) {
      const found = this.#interfaces.find(pattern);
      if (found.length === 0) notes.push(`${this.#whyNone(pattern)}: nothing is forwarded there`);
      for (const name of found) outputs.set(name, this.#interfaces.threshold(name));
    }
    return outputs;
  }

  #whyNone(pattern: string): string {
    if (!pattern.endsWith('+')) return `${pattern} is disabled, or not enabled, by phyint lines before`;
    const known = this.#givenNames ? 'of --interfaces' : 'that the configuration names (--interfaces names more)';
    return `${pattern} matches no enabled interface ${known}`;
  }
}

function addresses({ from, source, group }: Route): Pick<Route, 'from' | 'source' | 'group'> {
  return { from, source, group };
}

/** Whether a template takes all that another route does. */
export function matches(template: Route, route: Pick<Route, 'from' | 'source' | 'group'>): boolean {
  if (template.from !== route.from || !contains(template.group, route.group)) return false;
  return template.source === undefined || (route.source !== undefined && contains(template.source, route.source));
}
