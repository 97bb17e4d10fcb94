import type { LabId } from './lab-id.ts';
import { removeLab } from './leftovers.ts';

/** Labs that this process has to remove before it ends. */
const open = new Set<LabId>();
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Sees to it that a lab is gone when this process ends, by itself, by an exception or by a signal. */
export function watchOver(id: LabId): void {
  if (open.size === 0) {
    process.on('exit', removeAll);
    for (const signal of signals) process.on(signal, endBySignal);
  }
  open.add(id);
}

/** The lab is gone, or is to stay. */
export function forgetLab(id: LabId): void {
  open.delete(id);
  if (open.size > 0) return;
  process.off('exit', removeAll);
  for (const signal of signals) process.off(signal, endBySignal);
}

function removeAll(): void {
  for (const id of open) {
    // One that cannot be removed must not keep the others; the next run tries it again.
    try {
      removeLab(id);
    } catch (error) {
      process.stderr.write(`lab ${id}: ${(error as Error).message}\n`);
    }
    forgetLab(id);
  }
}

/** Ends this process by the same signal, so that whoever waits for it sees why it ended. */
function endBySignal(signal: NodeJS.Signals): void {
  removeAll();
  // Without a handler left, the signal ends the process; if others handle it, they decide.
  if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
}
