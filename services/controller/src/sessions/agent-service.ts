import { bidiStream } from '@mcfleet/common/grpc/handlers';
import type { ServiceRegistration } from '@mcfleet/common/grpc/server';
import {
  type AgentMessage,
  AgentServiceService,
  type ControllerMessage,
} from '@mcfleet/proto/mcfleet/v1/agent_service';
import type { SessionRegistry } from './session-registry.ts';

/** AgentService, for the agent listener. */
export function agentService(sessions: SessionRegistry): ServiceRegistration {
  const implementation = {
    connect: bidiStream<AgentMessage, ControllerMessage>((context, stream) => sessions.connect(stream, context)),
  } satisfies Record<keyof typeof AgentServiceService, unknown>;
  return { definition: AgentServiceService, implementation };
}
