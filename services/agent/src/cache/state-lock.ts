import { join } from 'node:path';
import { type ProcessLock, takeProcessLock } from '../process-lock.ts';

/**
 * Takes a state directory for this process alone, until it ends.
 *
 * @throws FleetError FAILED_PRECONDITION: STATE_DIR_IN_USE if another agent runs on it, STATE_DIR_UNUSABLE if it cannot be written.
 */
export function lockStateDirectory(directory: string): ProcessLock {
  return takeProcessLock({
    lockFile: join(directory, 'agent.lock'),
    pidFile: join(directory, 'agent.pid'),
    what: `the state directory ${directory}`,
    option: '--state-dir',
    inUseReason: 'STATE_DIR_IN_USE',
    unusableReason: 'STATE_DIR_UNUSABLE',
  });
}
