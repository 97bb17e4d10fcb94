import { UsageError } from '../exit.ts';
import type { GetRequest } from './get.ts';

/** One object or those with a label, not both. */
export function refuseSelectorWithName({ name, selector }: GetRequest): void {
  if (name !== undefined && selector !== undefined) throw new UsageError('give a NAME or -l SELECTOR, not both');
}
