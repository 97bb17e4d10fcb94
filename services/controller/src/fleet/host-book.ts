import type { Condition } from '@mcfleet/proto/mcfleet/v1/common';
import type {
  InputStatus,
  OutputStatus,
  PacketPathOptions,
  WorkerStatus,
} from '@mcfleet/proto/mcfleet/v1/dataplane_service';
import type { NetworkInterface } from '@mcfleet/proto/mcfleet/v1/host';
import type { InterfaceInput, InterfaceOutput } from '@mcfleet/proto/mcfleet/v1/relay';

/** What is known of a host from its sessions. */
export interface HostFacts {
  readonly connected: boolean;
  /** Of the session that is open; empty if none is. */
  readonly sessionId: string;
  /** Why the last session ended; empty before. */
  readonly disconnectReason: string;
  readonly agentVersion: string;
  readonly kernel: string;
  readonly bootId: string;
  readonly capabilities: readonly string[];
  readonly interfaces: readonly NetworkInterface[];
  /** Until when all changes of counters have been told in this session; undefined before its first heartbeat that says so. */
  readonly countersTime: Date | undefined;
  /** Of the last heartbeat. */
  readonly receiving: readonly InputStatus[];
  readonly sending: readonly OutputStatus[];
  readonly workers: readonly WorkerStatus[];
  readonly options: PacketPathOptions | undefined;
  /** More conditions that the agent tells. */
  readonly told: readonly Condition[];
  readonly appliedRevision: bigint;
  readonly desiredRevision: bigint;
  readonly stateHash: Buffer;
  /** From the last heartbeat; undefined before the first. */
  readonly health: HostHealth | undefined;
  /** Of agents under the same name; undefined if there were never two. */
  readonly duplicateAgent: DuplicateAgent | undefined;
  /** What to say of an agent that holds state of another cluster; empty if it does not. */
  readonly otherCluster: string;
}

/** What is known of two agents under one name. */
export interface DuplicateAgent {
  /** Whether both are there now. */
  readonly holds: boolean;
  readonly message: string;
}

/** What a heartbeat says of a host's health. */
export interface HostHealth {
  readonly dataplaneHealthy: boolean;
  readonly dataplaneReason: string;
  readonly dataplaneMessage: string;
  readonly storageMessage: string;
}

const UNMET: HostFacts = {
  connected: false,
  sessionId: '',
  disconnectReason: '',
  agentVersion: '',
  kernel: '',
  bootId: '',
  capabilities: [],
  interfaces: [],
  countersTime: undefined,
  receiving: [],
  sending: [],
  workers: [],
  options: undefined,
  told: [],
  appliedRevision: 0n,
  desiredRevision: 0n,
  stateHash: Buffer.alloc(0),
  health: undefined,
  duplicateAgent: undefined,
  otherCluster: '',
};

const NO_INPUTS: ReadonlyMap<string, InterfaceInput> = new Map();
const NO_OUTPUTS: ReadonlyMap<string, InterfaceOutput> = new Map();

/** What is known of hosts: agents tell it when they connect. Bounded by the hosts of the store. */
export class HostBook {
  readonly #facts = new Map<string, HostFacts>();
  readonly #lastSeen = new Map<string, Date>();
  readonly #inputs = new Map<string, ReadonlyMap<string, InterfaceInput>>();
  readonly #outputs = new Map<string, ReadonlyMap<string, InterfaceOutput>>();

  get(host: string): HostFacts {
    return this.#facts.get(host) ?? UNMET;
  }

  lastSeen(host: string): Date | undefined {
    return this.#lastSeen.get(host);
  }

  /** What a host last said of the interfaces on which it receives, by name. */
  inputs(host: string): ReadonlyMap<string, InterfaceInput> {
    return this.#inputs.get(host) ?? NO_INPUTS;
  }

  /** Takes the place of what it said before, so that its size is bounded by one message. */
  noteInputs(host: string, inputs: readonly InterfaceInput[]): void {
    this.#inputs.set(host, new Map(inputs.map((input) => [input.interface, input])));
  }

  /** What a host last said of the interfaces of its outputs, by name. */
  outputs(host: string): ReadonlyMap<string, InterfaceOutput> {
    return this.#outputs.get(host) ?? NO_OUTPUTS;
  }

  /** As noteInputs(). */
  noteOutputs(host: string, outputs: readonly InterfaceOutput[]): void {
    this.#outputs.set(host, new Map(outputs.map((output) => [output.interface, output])));
  }

  /** The agent sent something. */
  see(host: string, time: Date): void {
    this.#lastSeen.set(host, time);
  }

  set(host: string, facts: Partial<HostFacts>): void {
    this.#facts.set(host, { ...this.get(host), ...facts });
  }

  delete(host: string): void {
    this.#facts.delete(host);
    this.#lastSeen.delete(host);
    this.#inputs.delete(host);
    this.#outputs.delete(host);
  }
}
