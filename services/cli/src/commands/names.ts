import { FleetError } from '@mcfleet/common/error';
import { parseHostName, parseRelayName } from '@mcfleet/common/names';
import { UsageError } from '../exit.ts';

/** A name of the command line; "relays/camera-7" counts as camera-7. */
function argument(parse: (name: string) => string): (name: string) => string {
  return (name) => {
    try {
      return parse(name);
    } catch (thrown) {
      throw new UsageError(FleetError.from(thrown).message, { cause: thrown });
    }
  };
}

/** @throws UsageError if it cannot be the name of a relay */
export const relayArgument = argument(parseRelayName);

/** @throws UsageError if it cannot be the name of a host */
export const hostArgument = argument(parseHostName);
