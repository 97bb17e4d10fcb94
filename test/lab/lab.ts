import { mkdirSync } from 'node:fs';
import { labAccess } from './access.ts';
import { type CommandResult, command } from './command.ts';
import { type InterfaceCounters, parseInterfaceCounters, parseProtocolCounters } from './counters.ts';
import { describeMistakes, type LabDescription, type LinkDescription } from './description.ts';
import { type LabId, namespaceName, newLabId } from './lab-id.ts';
import { labDirectory, labExists, removeLab, removeLeftovers } from './leftovers.ts';
import { interfacesNotReady } from './link-state.ts';
import { forgetLab, watchOver } from './open-labs.ts';
import { planEnd, planLab, planPair } from './plan.ts';
import { LabProcess, type StartOptions } from './process.ts';

/** How a lab is made. */
export interface LabOptions {
  /**
   * A word under which the lab stays when this process ends, until `removeLab` is called with it. Default: it ends with this process,
   * however that ends.
   */
  readonly keepAs?: string;
}

/**
 * A network laid out in namespaces, with processes in it. Make one with `await using lab = await Lab.create(...)`: whatever happens,
 * nothing of it stays.
 */
export class Lab implements AsyncDisposable {
  readonly id: LabId;
  /** For files of the lab's processes; removed with it. */
  readonly directory: string;
  readonly #namespaces: ReadonlySet<string>;
  readonly #processes = new Set<LabProcess>();
  /** How many were made so far. */
  #links: number;

  private constructor(id: LabId, { namespaces, links }: LabDescription) {
    this.id = id;
    this.directory = labDirectory(id);
    this.#namespaces = new Set(Object.keys(namespaces));
    this.#links = links.length;
  }

  /**
   * Removes what killed runs have left, then lays out the network.
   *
   * @throws Error if the description has mistakes, or this process may not make namespaces.
   */
  static async create(description: LabDescription, options: LabOptions = {}): Promise<Lab> {
    const mistakes = describeMistakes(description);
    if (mistakes.length > 0) throw new Error(`this lab cannot be made:\n  ${mistakes.join('\n  ')}`);
    const access = labAccess();
    if (access.kind === 'none') throw new Error(access.reason);
    removeLeftovers();
    const id = options.keepAs ?? newLabId();
    if (labExists(id)) throw new Error(`a lab "${id}" is there already`);

    const lab = new Lab(id, description);
    watchOver(id);
    try {
      mkdirSync(lab.directory, { recursive: true });
      for (const name of lab.#namespaces) await command(['ip', 'netns', 'add', lab.realName(name)]);
      for (const plan of planLab(description, (name) => lab.realName(name))) {
        if (plan.sysctls.length > 0) await lab.#setSysctls(plan.namespace, plan.sysctls);
        if (plan.ip.length > 0) await lab.ip(plan.namespace, ...plan.ip);
      }
      await lab.#waitForLinks(description.links);
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
    return lab;
  }

  /** The name in /run/netns of one of this lab's namespaces. */
  realName(namespace: string): string {
    if (!this.#namespaces.has(namespace)) throw new Error(`this lab has no namespace "${namespace}"`);
    return namespaceName(this.id, namespace);
  }

  /** Starts a program in a namespace. It is ended with the lab. */
  start(namespace: string, argv: readonly string[], options: StartOptions = {}): LabProcess {
    const started = new LabProcess(this.realName(namespace), this.id, argv, options);
    this.#processes.add(started);
    started.exited.then(() => this.#processes.delete(started));
    return started;
  }

  /** Runs a program in a namespace to its end; ends it itself after `timeoutMs`. */
  async run(
    namespace: string,
    argv: readonly string[],
    options: StartOptions & { readonly timeoutMs?: number } = {},
  ): Promise<CommandResult> {
    const started = this.start(namespace, argv, options);
    const timer = setTimeout(() => started.signal('SIGKILL'), options.timeoutMs ?? 60_000);
    const result = await started.exited;
    clearTimeout(timer);
    return result;
  }

  /** Carries out `ip` commands in a namespace, for example `link set dev veth1 down`; stops at the first that fails. */
  async ip(namespace: string, ...commands: readonly string[]): Promise<void> {
    await command([...this.#enter(namespace), 'ip', '-batch', '-'], `${commands.join('\n')}\n`);
  }

  /** Plugs in another cable. */
  async addLink(link: LinkDescription): Promise<void> {
    await this.ip(
      link.a.namespace,
      planPair(link, (name) => this.realName(name), this.#links++),
    );
    for (const end of [link.a, link.b]) await this.ip(end.namespace, ...planEnd(end));
    await this.#waitForLinks([link]);
  }

  /** Removes an interface, and with it the other end of its cable. */
  async deleteInterface(namespace: string, name: string): Promise<void> {
    await this.ip(namespace, `link delete dev ${name}`);
  }

  /** One of the kernel's protocol counters of a namespace, for example "TcpExtIPReversePathFilter", "UdpRcvbufErrors". */
  async protocolCounter(namespace: string, name: string): Promise<number> {
    const text = await command([...this.#enter(namespace), 'cat', '/proc/net/netstat', '/proc/net/snmp']);
    const value = parseProtocolCounters(text).get(name);
    if (value === undefined) throw new Error(`this kernel has no counter "${name}"`);
    return value;
  }

  /** What the kernel counted on an interface. */
  async interfaceCounters(namespace: string, name: string): Promise<InterfaceCounters> {
    const text = await command([...this.#enter(namespace), 'cat', '/proc/net/dev']);
    const counters = parseInterfaceCounters(text, name);
    if (counters === undefined) throw new Error(`${namespace} has no interface "${name}"`);
    return counters;
  }

  /** Lets this process end and leaves the lab as it is. Only for labs that are kept under a word. */
  release(): void {
    forgetLab(this.id);
    for (const running of this.#processes) running.release();
  }

  /** Ends its processes, first asking them, and removes everything. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#processes].map(async (running) => await running.stop(2_000)));
    removeLab(this.id);
    forgetLab(this.id);
  }

  #enter(namespace: string): [string, ...string[]] {
    return ['nsenter', `--net=/run/netns/${this.realName(namespace)}`, '--'];
  }

  async #waitForLinks(links: readonly LinkDescription[]): Promise<void> {
    const end = performance.now() + 20_000;
    const ends = links.flatMap((link) => [link.a, link.b]);
    for (const namespace of new Set(ends.map((linkEnd) => linkEnd.namespace))) {
      const names = ends.filter((linkEnd) => linkEnd.namespace === namespace).map((linkEnd) => linkEnd.interface);
      for (;;) {
        const json = await command([...this.#enter(namespace), 'ip', '-details', '-json', 'link']);
        const waiting = interfacesNotReady(json, names);
        if (waiting.length === 0) break;
        if (performance.now() > end) throw new Error(`${namespace}: ${waiting.join(', ')} did not come up in 20 s`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }

  async #setSysctls(namespace: string, settings: readonly (readonly [path: string, value: string])[]): Promise<void> {
    // Not sysctl(8), which is a package of its own. The first word of a line is the path, the rest the value.
    const script = 'while read -r path value; do printf %s "$value" > "/proc/sys/$path" || exit 1; done';
    const lines = settings.map(([path, value]) => `${path} ${value}\n`).join('');
    await command([...this.#enter(namespace), 'sh', '-c', script], lines);
  }
}
