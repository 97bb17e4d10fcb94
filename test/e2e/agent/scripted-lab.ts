import { join } from 'node:path';
import { Lab } from '../../lab/lab.ts';
import { chain } from '../../lab/topologies.ts';
import { type AgentPlace, agentPlace } from './agent-process.ts';
import { ScriptedController } from './scripted-controller.ts';

/** The chain gen, relay, sink, and a controller for an agent in it that does what the test says. Dispose of it. */
export interface ScriptedLab extends AgentPlace, AsyncDisposable {
  readonly lab: Lab;
  readonly controller: ScriptedController;
}

export async function scriptedLab(): Promise<ScriptedLab> {
  const lab = await Lab.create(chain());
  const controller = new ScriptedController(join(lab.directory, 'controller.sock'));
  await controller.start();
  const dispose = async (): Promise<void> => {
    await lab[Symbol.asyncDispose]();
    await controller.stop();
  };
  return { lab, controller, ...agentPlace(lab), [Symbol.asyncDispose]: dispose };
}
