import { type ProcessLock, takeProcessLock } from '../process-lock.ts';

/**
 * Takes the data plane on a socket for this process alone, until it ends. Two agents on one data plane would each take away what
 * the other programs.
 *
 * @throws FleetError FAILED_PRECONDITION: DATAPLANE_IN_USE if another agent has it, DATAPLANE_SOCKET_UNUSABLE if there can be no
 * socket.
 */
export function lockDataplane(socketPath: string): ProcessLock {
  return takeProcessLock({
    lockFile: `${socketPath}.lock`,
    pidFile: `${socketPath}.agent-pid`,
    what: `the data plane on ${socketPath}`,
    option: '--dataplane-socket',
    inUseReason: 'DATAPLANE_IN_USE',
    unusableReason: 'DATAPLANE_SOCKET_UNUSABLE',
  });
}
