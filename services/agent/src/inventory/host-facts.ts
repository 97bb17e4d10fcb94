import { readFileSync } from 'node:fs';
import { release } from 'node:os';

/** What does not change while the agent runs. */
export interface HostFacts {
  /** Kernel release, as `uname -r`. */
  readonly kernel: string;
  /** Another one after each boot. */
  readonly bootId: string;
}

export function readHostFacts(): HostFacts {
  return { kernel: release(), bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim() };
}
