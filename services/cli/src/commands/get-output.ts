import type { FleetError } from '@mcfleet/common/error';
import { ChangeType } from '@mcfleet/proto/mcfleet/v1/common';
import { type Change, type WatchSource, watch } from '../client/watch.ts';
import { toYaml } from '../document/write.ts';
import { UsageError } from '../exit.ts';
import { type Column, Table } from '../render/table.ts';
import type { GetRequest } from './get.ts';

/** How objects of one kind are printed. */
export interface KindOutput<T> {
  columns(wide: boolean): readonly Column<T>[];
  /** The bare name, for -o name. */
  nameOf(object: T): string;
  toDocument(object: T): unknown;
  /** Type of one object, of the list, and of a watch event, for -o json. */
  readonly typeName: string;
  readonly listTypeName: string;
  readonly eventTypeName: string;
  toEvent(change: Change<T>): unknown;
}

/** Prints a list, or with a name the one object. */
export function printObjects<T>(request: GetRequest, kind: KindOutput<T>, objects: readonly T[], list: unknown): void {
  const { cli, output, name } = request;
  const [only] = objects;
  switch (output) {
    case 'json':
      if (list === undefined) cli.printJson(kind.typeName, only);
      else cli.printJson(kind.listTypeName, list);
      return;
    case 'yaml':
      cli.print(objects.map((object) => toYaml(kind.toDocument(object))).join('---\n'));
      return;
    case 'name':
      for (const object of objects) cli.print(`${kind.nameOf(object)}\n`);
      return;
    default:
      if (objects.length === 0 && name === undefined) cli.say('there are none');
      else cli.print(new Table(kind.columns(output === 'wide'), cli.paint).rows(objects));
  }
}

/** Prints what is there and then every change until --timeout, or for ever. */
export async function printChanges<T, M>(
  request: GetRequest,
  kind: KindOutput<T>,
  source: WatchSource<T, M>,
  isWanted: (object: T) => boolean = () => true,
): Promise<void> {
  const { cli, command, output } = request;
  if (output === 'yaml') throw new UsageError('-o yaml has no form for changes: use -o json with -w');
  const abort = new AbortController();
  const timeoutMs = cli.timeoutMs(command, 0);
  const timer = timeoutMs === 0 ? undefined : setTimeout(() => abort.abort(), timeoutMs);
  const table = new Table(kind.columns(output === 'wide'), cli.paint);
  // The first rows come together, so that the columns fit them.
  let initial: T[] | undefined = output === 'table' || output === 'wide' ? [] : undefined;
  const onBreak = (error: FleetError): void => cli.say(`${error.message}; connecting again`);
  try {
    for await (const item of watch(cli.connection(command), source, abort.signal, onBreak)) {
      if (item.kind === 'synced') {
        if (initial !== undefined) cli.print(table.rows(initial));
        initial = undefined;
        continue;
      }
      const { change } = item;
      if (!isWanted(change.object)) continue;
      if (output === 'json') cli.printJsonLine(kind.eventTypeName, kind.toEvent(change));
      else if (output === 'name') cli.print(`${kind.nameOf(change.object)}\n`);
      else if (initial !== undefined) initial.push(change.object);
      else if (change.type === ChangeType.DELETED) cli.say(`${kind.nameOf(change.object)} deleted`);
      else cli.print(table.rows([change.object]));
    }
  } finally {
    clearTimeout(timer);
  }
}
