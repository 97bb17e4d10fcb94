import { status } from '@grpc/grpc-js';
import { FleetError } from '@mcfleet/common/error';
import { type Address, assertMayListen, formatAddress, parseListenAddress } from '@mcfleet/common/listen';

/** A session carries the desired state of the host: in plain text it stays on the machine, unless the operator says otherwise. */
export function assertMayConnect(address: Address, options: { readonly insecure: boolean }): void {
  try {
    assertMayListen(address, options);
  } catch (cause) {
    throw new FleetError({
      code: status.INVALID_ARGUMENT,
      reason: 'INSECURE_CONTROLLER',
      message:
        `the controller ${formatAddress(address)} is on another machine and the session would be in plain text; ` +
        'pass --insecure if the network between is trusted',
      cause,
    });
  }
}

/** Reads "ADDR[,ADDR...]". @throws FleetError INVALID_ARGUMENT, INVALID_ADDRESS. */
export function parseControllers(text: string): Address[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map(parseListenAddress);
}
