import type { Clock, Timer } from '@mcfleet/common/clock';

/** An agent process that asked for a session. */
export interface AgentIdentity {
  /** Hello.instance_uid: another one for each process. */
  readonly instanceUid: string;
  /** Hello.start_time in Unix milliseconds; 0 if it was not told. */
  readonly startMs: number;
  /** Where it connects from. */
  readonly peer: string;
}

/** Two agents under one name. */
export interface Duplicate {
  /** The one that has the session. */
  readonly holder: AgentIdentity;
  /** The one that is turned away. */
  readonly rival: AgentIdentity;
}

export interface DuplicateAgentsOptions {
  readonly clock: Clock;
  /** Milliseconds without the other one after which there is only one agent again. */
  readonly forgetMs: number;
  /** A host has two agents under its name, or (undefined) only one again. */
  readonly onChange: (host: string, duplicate: Duplicate | undefined) => void;
}

/** Processes whose session was taken over, kept per host; the oldest goes first. A third agent is rare, a tenth is not. */
const MAX_REPLACED = 8;

interface Watched {
  /** Processes whose open session another one took over, not long ago. */
  readonly replaced: Set<string>;
  duplicate: Duplicate | undefined;
  timer: Timer | undefined;
}

/**
 * Finds agents that call themselves alike, as after a disk was cloned. One take-over is a restart: the process before never comes
 * back. If it does, both live: then the one that was started later keeps the session, and the other is turned away, because two that
 * take it from each other would make every relay of the host come and go. Bounded by the hosts whose session was taken over within
 * `forgetMs`.
 */
export class DuplicateAgents {
  readonly #options: DuplicateAgentsOptions;
  readonly #hosts = new Map<string, Watched>();

  constructor(options: DuplicateAgentsOptions) {
    this.#options = options;
  }

  /** An agent asks for the session that another process has. Returns whether it gets it. */
  mayTakeOver(host: string, holder: AgentIdentity, newcomer: AgentIdentity): boolean {
    if (holder.instanceUid === newcomer.instanceUid) return true;
    const watched = this.#watch(host);
    if (!watched.replaced.has(newcomer.instanceUid)) {
      remember(watched.replaced, holder.instanceUid);
      return true;
    }
    const wins = isLater(newcomer, holder);
    const duplicate = wins ? { holder: newcomer, rival: holder } : { holder, rival: newcomer };
    if (wins) remember(watched.replaced, holder.instanceUid);
    watched.duplicate = duplicate;
    this.#options.onChange(host, duplicate);
    return wins;
  }

  /** Ends all timers. */
  close(): void {
    for (const { timer } of this.#hosts.values()) timer?.clear();
    this.#hosts.clear();
  }

  /** What is known of a host, kept for another while. */
  #watch(host: string): Watched {
    const watched = this.#hosts.get(host) ?? { replaced: new Set(), duplicate: undefined, timer: undefined };
    this.#hosts.set(host, watched);
    watched.timer?.clear();
    watched.timer = this.#options.clock.setTimeout(() => {
      this.#hosts.delete(host);
      if (watched.duplicate !== undefined) this.#options.onChange(host, undefined);
    }, this.#options.forgetMs);
    return watched;
  }
}

function remember(replaced: Set<string>, instanceUid: string): void {
  replaced.delete(instanceUid);
  replaced.add(instanceUid);
  for (const oldest of replaced) {
    if (replaced.size <= MAX_REPLACED) return;
    replaced.delete(oldest);
  }
}

/** The same answer whichever of the two asks. */
function isLater(a: AgentIdentity, b: AgentIdentity): boolean {
  return a.startMs === b.startMs ? a.instanceUid > b.instanceUid : a.startMs > b.startMs;
}
