import type { ConfLine } from './conf.ts';
import type { Statement } from './statement.ts';

/** What phyint lines say of an interface. */
interface Phyint {
  readonly enabled: boolean;
  readonly threshold: number;
}

/** The interfaces that smcroute can route between, as far as the lines so far say. */
export class Interfaces {
  readonly #names: readonly string[];
  readonly #fallback: Phyint;
  readonly #said = new Map<string, Phyint>();

  /**
   * @param names those that patterns ("eth+") may mean, in the order of their numbers
   * @param enabled whether smcrouted routes between those of which no line says anything: it does, unless started with -N
   */
  constructor(names: readonly string[], enabled: boolean) {
    this.#names = names;
    this.#fallback = { enabled, threshold: 1 };
  }

  set(
    pattern: string,
    { enable, threshold }: { readonly enable: boolean | undefined; readonly threshold: number },
  ): void {
    const said = { enabled: enable ?? this.#fallback.enabled, threshold };
    for (const name of this.#matches(pattern)) this.#said.set(name, said);
  }

  /** The enabled ones that a name or pattern means. */
  find(pattern: string): string[] {
    return this.#matches(pattern).filter((name) => this.#of(name).enabled);
  }

  /** A packet leaves by an interface if its TTL is higher. */
  threshold(name: string): number {
    return this.#of(name).threshold;
  }

  #of(name: string): Phyint {
    return this.#said.get(name) ?? this.#fallback;
  }

  #matches(pattern: string): readonly string[] {
    return isPattern(pattern) ? this.#names.filter((name) => name.startsWith(pattern.slice(0, -1))) : [pattern];
  }
}

/** Whether it means every interface whose name begins so. */
export function isPattern(name: string): boolean {
  return name.endsWith('+');
}

/** The interfaces that lines name in full, in the order in which they do. */
export function namedInterfaces(lines: readonly ConfLine[]): string[] {
  return [...new Set(lines.flatMap(({ statement }) => names(statement)).filter((name) => !isPattern(name)))];
}

function names(statement: Statement): readonly string[] {
  switch (statement.kind) {
    case 'phyint':
      return [statement.interfaces];
    case 'mgroup':
      return [statement.from];
    case 'mroute':
      return [statement.from, ...statement.to];
    case 'include':
      return [];
  }
}
