import { listInterfaces } from '@mcfleet/native';

/** The index of one of this namespace's interfaces. */
export function indexOfInterface(name: string): number {
  const found = listInterfaces().find((one) => one.name === name);
  if (found === undefined) throw new Error(`no interface ${name}`);
  return found.index;
}
