// Started by tests of multicast tables in a network namespace. Carries out the steps that its argument lists, as JSON, and prints what
// each gave. Interfaces are named, not numbered.
import { execFileSync } from 'node:child_process';
import { listInterfaces, type MulticastTable, openMulticastTable, type RouteChange } from '../index.ts';

/** A route with interfaces by name; a name that there is not has index 9999. */
export interface RouteDraft {
  readonly source?: string;
  readonly group: string;
  readonly input: string;
  readonly outputs: Readonly<Record<string, number>>;
}

export type Step =
  | { readonly do: 'open'; readonly family?: 4 | 6; readonly id?: number }
  | { readonly do: 'apply'; readonly changes: readonly (readonly [RouteChange['action'], RouteDraft])[] }
  | { readonly do: 'read' | 'close' }
  | { readonly do: 'run'; readonly argv: readonly [string, ...string[]] };

const tables: MulticastTable[] = [];

function routeOf({ source, group, input, outputs }: RouteDraft): RouteChange['route'] {
  const indexes = new Map(listInterfaces().map(({ name, index }) => [name, index]));
  const indexOf = (name: string): number => indexes.get(name) ?? 9_999;
  const to = Object.entries(outputs).map(([name, threshold]) => ({ ifindex: indexOf(name), threshold }));
  return { source: source ?? null, group, input: indexOf(input), outputs: to };
}

async function carryOut(step: Step): Promise<unknown> {
  const table = tables.at(-1);
  if (step.do === 'open') {
    tables.push(await openMulticastTable(step.family ?? 4, step.id));
    return 'open';
  }
  if (step.do === 'run') {
    const [program, ...args] = step.argv;
    return execFileSync(program, args, { encoding: 'utf8' });
  }
  if (table === undefined) throw new Error('open a table first');
  if (step.do === 'apply') {
    return await table.apply(step.changes.map(([action, route]) => ({ action, route: routeOf(route) })));
  }
  if (step.do === 'close') {
    await table.close();
    return 'closed';
  }
  const names = new Map(listInterfaces().map(({ name, index }) => [index, name]));
  const { routes, cutOff } = await table.read();
  return {
    routes: routes.map(({ input, outputs, ...rest }) => ({
      ...rest,
      input: names.get(input) ?? '',
      outputs: Object.fromEntries(outputs.map(({ ifindex, threshold }) => [names.get(ifindex) ?? '', threshold])),
    })),
    cutOff: cutOff.map(({ source, group }) => [source, group]),
  };
}

for (const step of JSON.parse(process.argv[2] ?? '[]') as Step[]) {
  let answer: unknown;
  try {
    answer = await carryOut(step);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    answer = { code: 'code' in error ? error.code : error.name, message: error.message };
  }
  process.stdout.write(`${JSON.stringify(answer, (_, part) => (typeof part === 'bigint' ? Number(part) : part))}\n`);
}
