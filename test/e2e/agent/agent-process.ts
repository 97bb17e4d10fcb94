import { join } from 'node:path';
import { callUnary, createClient } from '@mcfleet/common/grpc/client';
import {
  DataplaneServiceClient,
  type SnapshotResponse,
  type StatusResponse,
} from '@mcfleet/proto/mcfleet/v1/dataplane_service';
import type { Lab } from '../../lab/lab.ts';
import type { LabProcess, StartOptions } from '../../lab/process.ts';

/** The command as users start it. */
export const MCFLEET = join(import.meta.dirname, '../../../services/cli/bin/mcfleet');

/** Where the agent of a lab keeps its things. */
export interface AgentPlace {
  readonly stateDir: string;
  readonly socket: string;
}

export function agentPlace(lab: Lab): AgentPlace {
  return { stateDir: join(lab.directory, 'state'), socket: join(lab.directory, 'dp.sock') };
}

/** Starts an agent, and waits until it says that it is ready. */
export async function startAgent(
  lab: Lab,
  namespace: string,
  controller: string,
  options: StartOptions & { readonly args?: readonly string[] } = {},
): Promise<LabProcess> {
  const { stateDir, socket } = agentPlace(lab);
  const argv = [MCFLEET, 'agent', '--name', 'edge-1', '--controller', controller, '--state-dir', stateDir];
  const agent = lab.start(namespace, [...argv, '--dataplane-socket', socket, ...(options.args ?? [])], options);
  await agent.waitForOutput(/agent is ready/);
  return agent;
}

/** The lines that a program has logged. */
export function logLines(program: LabProcess): { level: string; msg: string; [field: string]: unknown }[] {
  return program.stderr
    .split('\n')
    .filter((line) => line.startsWith('{') && line.endsWith('}'))
    .map((line) => JSON.parse(line));
}

/** Asks the data plane itself. */
export async function askDataplane(socket: string): Promise<{ status: StatusResponse; snapshot: SnapshotResponse }> {
  const client = createClient(DataplaneServiceClient, { kind: 'unix', path: socket });
  try {
    return {
      status: await callUnary(client, 'status', {}, { timeoutMs: 20_000 }),
      snapshot: await callUnary(client, 'snapshot', { uids: [], since: '' }, { timeoutMs: 20_000 }),
    };
  } finally {
    client.close();
  }
}
