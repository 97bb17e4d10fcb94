import { Argument } from 'commander';
import { UsageError } from '../exit.ts';
import { mostSimilar } from '../text/similar.ts';

/** What can be listed and described. */
export type Kind = 'relays' | 'hosts' | 'instances';

const spellings: Readonly<Record<string, Kind>> = {
  relays: 'relays',
  relay: 'relays',
  hosts: 'hosts',
  host: 'hosts',
  instances: 'instances',
  instance: 'instances',
};

/**
 * An argument that takes some kinds, in singular and plural. `names` are shown in the help.
 *
 * @param refuse is asked about a kind that is not among them, and may say more of it by an error of its own
 */
export function kindArgument(
  kinds: readonly Kind[],
  names: readonly string[],
  refuse: (value: string) => void = () => undefined,
): Argument {
  return new Argument('<kind>', names.join(', ')).argParser((value: string): Kind => {
    const kind = Object.hasOwn(spellings, value.toLowerCase()) ? spellings[value.toLowerCase()] : undefined;
    if (kind !== undefined && kinds.includes(kind)) return kind;
    refuse(value);
    const near = mostSimilar(value, names);
    const hint = near === undefined ? `known here: ${names.join(', ')}` : `did you mean ${near}?`;
    throw new UsageError(`unknown kind "${value}"; ${hint}`);
  });
}
