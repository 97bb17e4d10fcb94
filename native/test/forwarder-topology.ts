import { execFileSync } from 'node:child_process';
import { ForwarderProcess, PacketCapture, PacketSender, type RelayDraft } from './forwarder-process.ts';
import { TestNamespace } from './namespaces.ts';

/**
 * A source (interface `src`), a relay (`in`, `out1`, `out2`) and two sinks (`sink1`, `sink2`), each a namespace. The outputs finish
 * checksums and cut super-frames before the cable, so that a capture sees what a receiver would; `in` hands on what the source's
 * stack left unfinished.
 */
export class ForwarderTopology {
  readonly source = new TestNamespace();
  readonly relay = new TestNamespace();
  readonly sinks: readonly [TestNamespace, TestNamespace] = [new TestNamespace(), new TestNamespace()];
  readonly #ends: (() => Promise<unknown>)[] = [];

  constructor() {
    this.#cable(this.source, 'src', '10.1.0.1', this.relay, 'in', '10.1.0.2');
    this.connectSink(0);
    this.connectSink(1);
    this.source.ip('route', 'add', 'default', 'dev', 'src');
  }

  /** Lays the cable to a sink, also again after it was deleted. */
  connectSink(sink: 0 | 1): void {
    const name = sink + 1;
    this.#cable(this.relay, `out${name}`, `10.2.${name}.1`, this.sinks[sink], `sink${name}`, `10.2.${name}.2`);
    this.offloads(`out${name}`, false);
  }

  /** Whether an output hands unfinished checksums and super-frames to the cable as they are. */
  offloads(device: string, on: boolean): void {
    this.relay.run('ethtool', '-K', device, 'tx', on ? 'on' : 'off');
  }

  async forwarder(ringBytes?: number): Promise<ForwarderProcess> {
    const started = await ForwarderProcess.start(this.relay, ringBytes);
    this.#ends.push(() => started.end());
    return started;
  }

  sender(): PacketSender {
    const sender = new PacketSender(this.source, 'src');
    this.#ends.push(() => sender.end());
    return sender;
  }

  async capture(sink: 0 | 1): Promise<PacketCapture> {
    return PacketCapture.start(this.sinks[sink], `sink${sink + 1}`);
  }

  /** Ends what was started since the last call. */
  async endProcesses(): Promise<void> {
    for (const end of this.#ends.splice(0)) await end();
  }

  delete(): void {
    for (const space of [this.source, this.relay, ...this.sinks]) space.delete();
  }

  #cable(a: TestNamespace, nameA: string, addressA: string, b: TestNamespace, nameB: string, addressB: string): void {
    execFileSync('ip', [
      ...['link', 'add', nameA, 'netns', a.name, 'type', 'veth'],
      ...['peer', 'name', nameB, 'netns', b.name],
    ]);
    a.ip('address', 'add', `${addressA}/24`, 'dev', nameA);
    b.ip('address', 'add', `${addressB}/24`, 'dev', nameB);
    a.ip('link', 'set', nameA, 'up');
    b.ip('link', 'set', nameB, 'up');
  }
}

/** 239.1.1.1:5001 from `in` to 239.10.10.10:6001 on `out1`. */
export const simpleRelay: RelayDraft = {
  uid: 'simple',
  input: 'in',
  group: '239.1.1.1',
  port: 5001,
  outputs: [{ key: 'first', interface: 'out1', address: '239.10.10.10', port: 6001 }],
};

/** Tries until `check` passes, for at most five seconds. */
export async function eventually(check: () => Promise<void>): Promise<void> {
  const end = Date.now() + 5000;
  for (;;) {
    try {
      await check();
      return;
    } catch (error) {
      if (Date.now() > end) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Skips a suite where namespaces are not possible, and says so in its name. */
export function noted(name: string, reason: string | null): string {
  return reason ? `${name} (skipped: ${reason})` : name;
}
