import { mkdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ListHostsResponse } from '@mcfleet/proto/mcfleet/v1/fleet_service';
// Registers the messages that a status carries as google.protobuf.Any.
import '@mcfleet/proto/google/rpc/error_details';
import type { RelayInstance } from '@mcfleet/proto/mcfleet/v1/relay';
import { ListRelayInstancesResponse } from '@mcfleet/proto/mcfleet/v1/relay_service';
import type { CommandResult } from '../lab/command.ts';
import type { Lab } from '../lab/lab.ts';
import { isGone } from '../lab/lab-id.ts';
import { markedPids } from '../lab/leftovers.ts';
import type { LabProcess, StartOptions } from '../lab/process.ts';
import { until } from './until.ts';

/** The command, as users start it. */
export const mcfleet = fileURLToPath(new URL('../../services/cli/bin/mcfleet', import.meta.url));

/** Where the programs of a fleet run. */
export interface FleetPlan {
  /** Namespace of the controller. */
  readonly controller: string;
  /** Its address, which agents and the command use. Default 127.0.0.1; any other is served without TLS. */
  readonly address?: string;
  /** Namespaces of the agents, by host name. */
  readonly hosts: Readonly<Record<string, string>>;
  /** Programs write to files in the lab's directory and outlive this process. Default: their output is kept in memory. */
  readonly logFiles?: boolean;
  /** Makes other commands of those that start the programs, for example with fewer privileges. */
  readonly controllerCommand?: (argv: readonly string[]) => readonly string[];
  readonly agentCommand?: (argv: readonly string[]) => readonly string[];
}

/** How the command is run. */
export interface RunOptions extends StartOptions {
  readonly timeoutMs?: number;
  /** Default the fleet's controller. */
  readonly server?: string;
}

/** Controller, agents and data planes: the real programs, in the namespaces of a lab. The lab ends them. */
export class Fleet {
  readonly lab: Lab;
  readonly server: string;
  readonly #plan: FleetPlan;
  readonly #agentAddress: string;
  readonly #insecure: readonly string[];
  #controller: LabProcess | undefined;
  readonly #agents = new Map<string, LabProcess>();

  private constructor(lab: Lab, plan: FleetPlan) {
    const address = plan.address ?? '127.0.0.1';
    this.lab = lab;
    this.#plan = plan;
    this.server = `${address}:7400`;
    this.#agentAddress = `${address}:7401`;
    this.#insecure = address.startsWith('127.') ? [] : ['--insecure'];
  }

  /** Starts nothing yet. */
  static prepare(lab: Lab, plan: FleetPlan): Fleet {
    return new Fleet(lab, plan);
  }

  /** Starts everything and waits until every host is connected. */
  static async start(lab: Lab, plan: FleetPlan): Promise<Fleet> {
    const fleet = Fleet.prepare(lab, plan);
    fleet.startController();
    for (const host of Object.keys(plan.hosts)) fleet.startAgent(host);
    await fleet.#waitForSessions(Object.keys(plan.hosts));
    return fleet;
  }

  get controller(): LabProcess {
    if (this.#controller === undefined) throw new Error('the controller was not started');
    return this.#controller;
  }

  agent(host: string): LabProcess {
    const agent = this.#agents.get(host);
    if (agent === undefined) throw new Error(`the agent of ${host} was not started`);
    return agent;
  }

  get controllerDirectory(): string {
    return `${this.lab.directory}/controller`;
  }

  agentDirectory(host: string): string {
    return `${this.lab.directory}/${host}`;
  }

  dataplaneSocket(host: string): string {
    return `${this.lab.directory}/${host}.sock`;
  }

  startController(): LabProcess {
    const listen = ['--admin-listen', this.server, '--agent-listen', this.#agentAddress];
    const argv = [mcfleet, 'controller', '--data-dir', this.controllerDirectory, ...listen, ...this.#insecure];
    const command = this.#plan.controllerCommand?.(argv) ?? argv;
    this.#controller = this.lab.start(this.#plan.controller, command, this.#log('controller'));
    return this.#controller;
  }

  startAgent(host: string): LabProcess {
    const namespace = this.#namespace(host);
    mkdirSync(this.agentDirectory(host), { recursive: true });
    const files = ['--state-dir', this.agentDirectory(host), '--dataplane-socket', this.dataplaneSocket(host)];
    const argv = [mcfleet, 'agent', '--name', host, '--controller', this.#agentAddress, ...files, ...this.#insecure];
    const agent = this.lab.start(namespace, this.#plan.agentCommand?.(argv) ?? argv, this.#log(`agent-${host}`));
    this.#agents.set(host, agent);
    return agent;
  }

  /** Pid of the data plane that serves a host; `undefined` if none runs. */
  dataplanePid(host: string): number | undefined {
    return markedPids(this.lab.id).find((pid) => {
      const argv = argumentsOf(pid);
      return argv.some((word) => word.includes('services/dataplane/')) && argv.includes(this.dataplaneSocket(host));
    });
  }

  /** Runs the command beside the controller. */
  async run(args: readonly string[], options: RunOptions = {}): Promise<CommandResult> {
    const argv = [mcfleet, '--server', options.server ?? this.server, ...args];
    return await this.lab.run(this.#plan.controller, argv, options);
  }

  /**
   * The same, and it has to succeed.
   *
   * @returns what it wrote to stdout.
   */
  async command(args: readonly string[], options: RunOptions = {}): Promise<string> {
    const result = await this.run(args, options);
    if (result.code !== 0) {
      const status = result.signal ?? `status ${result.code}`;
      throw new Error(`mcfleet ${args.join(' ')}: ${status}\n${result.stderr}${result.stdout}`);
    }
    return result.stdout;
  }

  /** Waits until the controller has a session with the agents that run on these hosts, or on all. */
  async waitForHosts(hosts: readonly string[] = Object.keys(this.#plan.hosts)): Promise<void> {
    // An agent that was just started: until then the controller may not know that the one before it has gone.
    await this.#waitForSessions(hosts);
    await until(`${hosts.join(', ')} connected`, async () => {
      this.#mustRun(this.controller, 'controller');
      for (const host of hosts) this.#mustRun(this.agent(host), `agent of ${host}`);
      const listed = await this.run(['get', 'hosts', '-o', 'json']);
      if (listed.code !== 0) return false;
      const known = ListHostsResponse.fromJSON(JSON.parse(listed.stdout)).hosts;
      return hosts.every((host) => known.some((item) => item.name === `hosts/${host}` && item.status?.connected));
    });
  }

  /** All relays on all hosts, as the controller knows them. */
  async instances(): Promise<readonly RelayInstance[]> {
    const json = await this.command(['get', 'instances', '-o', 'json']);
    return ListRelayInstancesResponse.fromJSON(JSON.parse(json)).relayInstances;
  }

  /** Waits until the agents that run on these hosts have had a session. */
  async #waitForSessions(hosts: readonly string[]): Promise<void> {
    await until(`sessions of ${hosts.join(', ')}`, () => {
      this.#mustRun(this.controller, 'controller');
      for (const host of hosts) this.#mustRun(this.agent(host), `agent of ${host}`);
      return hosts.every((host) => this.agent(host).stderr.includes('"session is open"'));
    });
  }

  #namespace(host: string): string {
    const namespace = this.#plan.hosts[host];
    if (namespace === undefined) throw new Error(`this fleet has no host "${host}"`);
    return namespace;
  }

  #log(name: string): StartOptions {
    return this.#plan.logFiles === true ? { logFile: `${this.lab.directory}/${name}.log` } : {};
  }

  #mustRun(program: LabProcess, name: string): void {
    if (!program.running) throw new Error(`the ${name} has ended:\n${program.stderr.slice(-2_000)}`);
  }
}

function argumentsOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch (error) {
    if (isGone(error)) return [];
    throw error;
  }
}
