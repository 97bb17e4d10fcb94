import type { Lab } from '../lab/lab.ts';

/** UDP packets that arrived, all alike. */
export interface Seen {
  readonly source: string;
  readonly destination: string;
  readonly ttl: number;
  readonly packets: number;
  /** Where they arrived, if several interfaces are watched. */
  readonly device?: string;
}

interface SetListing {
  readonly nftables: readonly {
    readonly set?: {
      readonly elem?: readonly {
        readonly elem: {
          readonly val: { readonly concat: readonly [string, string, number, string] };
          readonly counter: { readonly packets: number };
        };
      }[];
    };
  }[];
}

/** Feeds rules to nft; they have to be accepted. */
export async function addRules(lab: Lab, namespace: string, rules: string): Promise<void> {
  const { code, stderr } = await lab.run(namespace, ['nft', '-f', '-'], { input: rules });
  if (code !== 0) throw new Error(`nft refuses ${rules}:\n${stderr}`);
}

/**
 * Counts UDP packets that arrive on an interface, before anything can drop them there: at the head of prerouting, in the kernel, so that
 * no receiver can be too slow.
 */
export class Recorder {
  readonly #lab: Lab;
  readonly #namespace: string;
  readonly #severalDevices: boolean;

  private constructor(lab: Lab, namespace: string, severalDevices: boolean) {
    this.#lab = lab;
    this.#namespace = namespace;
    this.#severalDevices = severalDevices;
  }

  /** @param device an interface, or the beginning of names and "*" */
  static async start(lab: Lab, namespace: string, device: string): Promise<Recorder> {
    await addRules(
      lab,
      namespace,
      `table ip recorder {
         set seen { typeof ip saddr . ip daddr . ip ttl . meta iifname; size 65535; flags dynamic; counter; }
         chain arriving {
           type filter hook prerouting priority -500;
           iifname "${device}" udp dport { 5001, 5099 } add @seen { ip saddr . ip daddr . ip ttl . meta iifname }
         }
       }`,
    );
    return new Recorder(lab, namespace, device.endsWith('*'));
  }

  /** What has arrived since the last time, in the order of source, destination and TTL. */
  async take(): Promise<Seen[]> {
    const list = ['nft', '-j', 'list', 'set', 'ip', 'recorder', 'seen'];
    const { code, stdout, stderr } = await this.#lab.run(this.#namespace, list);
    if (code !== 0) throw new Error(`${list.join(' ')}: ${stderr}`);
    await addRules(this.#lab, this.#namespace, 'flush set ip recorder seen');
    const elements = (JSON.parse(stdout) as SetListing).nftables.flatMap(({ set }) => set?.elem ?? []);
    return elements
      .map(({ elem: { val, counter } }) => {
        const [source, destination, ttl, device] = val.concat;
        const seen = { source, destination, ttl, packets: counter.packets };
        return this.#severalDevices ? { ...seen, device } : seen;
      })
      .sort((a, b) => `${a.source} ${a.destination}`.localeCompare(`${b.source} ${b.destination}`) || a.ttl - b.ttl);
  }
}
