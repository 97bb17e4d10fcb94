import { Receiver, Sender, type Traffic } from '../../test/fleet/probe.ts';
import type { Lab } from '../../test/lab/lab.ts';

/** What became of packets that host-a's kernel was to take by itself. */
export interface KernelDrop {
  readonly sent: number;
  /** Counted by an ordinary UDP socket that joined the group. */
  readonly received: number;
  /** By how much the kernel's own counter TcpExtIPReversePathFilter rose. */
  readonly dropped: number;
}

/** Sends to a plain UDP receiver on host-a, before anything is relayed. */
export async function showKernelDrop(lab: Lab, traffic: Traffic): Promise<KernelDrop> {
  const counter = 'TcpExtIPReversePathFilter';
  const before = await lab.protocolCounter('host-a', counter);
  const receiver = await Receiver.start(lab, 'host-a', traffic);
  const { sent } = await new Sender(lab, 'source', traffic).result();
  await new Promise((resolve) => setTimeout(resolve, 100));
  const { received } = await receiver.stop();
  const dropped = (await lab.protocolCounter('host-a', counter)) - before;
  return { sent, received, dropped };
}
