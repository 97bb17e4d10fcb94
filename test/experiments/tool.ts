import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import type { Lab } from '../lab/lab.ts';
import type { LabProcess } from '../lab/process.ts';

const source = join(import.meta.dirname, 'tool/multicast-tool.cc');
const cache = join(import.meta.dirname, '../../.cache/experiments');

/** The compiled tool/multicast-tool.cc, which says what it can do. It is compiled when it has changed. */
function tool(): string {
  const compiled = join(
    cache,
    `multicast-tool-${createHash('sha256').update(readFileSync(source)).digest('hex').slice(0, 16)}`,
  );
  if (existsSync(compiled)) return compiled;
  mkdirSync(cache, { recursive: true });
  const made = `${compiled}.${process.pid}`;
  const options = ['-std=c++20', '-O1', '-Wall', '-Wextra', '-Wconversion', '-Werror'];
  const { status, stderr, error } = spawnSync('c++', [...options, '-o', made, source], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${source} cannot be compiled: ${error?.message ?? stderr}`);
  renameSync(made, compiled);
  return compiled;
}

/** Runs the tool to its end. Answers one line for each thing it did: "mfc: ok", "vif 32: ENFILE". */
export async function runTool(lab: Lab, namespace: string, words: string): Promise<string[]> {
  const { code, stdout, stderr } = await lab.run(namespace, [tool(), ...words.split(' ')]);
  if (code !== 0) throw new Error(`multicast-tool ${words}: status ${code}\n${stderr}${stdout}`);
  return stdout.trimEnd().split('\n');
}

/** Starts the tool, which has to succeed with everything, and leaves it running: its routes live as long as it does. */
export async function holdRoutes(lab: Lab, namespace: string, words: string): Promise<LabProcess> {
  const running = lab.start(namespace, [tool(), ...words.split(' '), 'hold']);
  await running.waitForOutput(/hold: ok/);
  const failed = running.stdout.split('\n').filter((line) => line !== '' && !line.endsWith(': ok'));
  if (failed.length > 0) throw new Error(`multicast-tool ${words}: ${failed.join(', ')}`);
  return running;
}

/** Packets to UDP port 5001. */
export interface Packets {
  readonly source: string;
  readonly group: string;
  /** Default 64. */
  readonly ttl?: number;
  /** Default 5. */
  readonly count?: number;
}

/** Sends packets out of an interface, whatever their source is. They are sent when this returns. */
export async function sendPackets(
  lab: Lab,
  namespace: string,
  device: string,
  ...packets: readonly Packets[]
): Promise<void> {
  const words = packets.map(
    ({ source: from, group, ttl = 64, count = 5 }) => `send ${device} ${from} ${group} ${ttl} ${count}`,
  );
  const lines = await runTool(lab, namespace, words.join(' '));
  if (lines.some((line) => line !== 'send: ok')) throw new Error(`packets could not be sent: ${lines.join(', ')}`);
}
