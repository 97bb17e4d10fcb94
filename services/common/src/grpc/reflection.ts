import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { status } from '@grpc/grpc-js';
import {
  type ServerReflectionRequest,
  type ServerReflectionResponse,
  ServerReflectionService as ServerReflectionV1,
} from '@mcfleet/proto/grpc/reflection/v1/reflection';
import { ServerReflectionService as ServerReflectionV1Alpha } from '@mcfleet/proto/grpc/reflection/v1alpha/reflection';
import type { DescriptorFile, DescriptorIndex } from './descriptor-index.ts';
import { bidiStream } from './handlers.ts';
import type { ServiceRegistration } from './server.ts';

type Answer = NonNullable<ServerReflectionResponse['messageResponse']>;

let loading: Promise<DescriptorIndex> | undefined;

/** The descriptors are read when somebody asks for the first time: most servers are started without being asked. */
function loadDescriptors(): Promise<DescriptorIndex> {
  loading ??= (async () => {
    const path = createRequire(import.meta.url).resolve('@mcfleet/proto/descriptors.binpb');
    const { DescriptorIndex } = await import('./descriptor-index.ts');
    return new DescriptorIndex(await readFile(path));
  })();
  return loading;
}

/**
 * Reflection in both versions, which differ by name only. Serves the files as buf compiled them, so that clients see the comments.
 *
 * @param services full names of the services to list
 */
export function reflectionServices(services: readonly string[]): readonly ServiceRegistration[] {
  const serverReflectionInfo = bidiStream<ServerReflectionRequest, ServerReflectionResponse>(async (_, stream) => {
    const index = await loadDescriptors();
    const sent = new Set<string>();
    for await (const request of stream.requests) {
      const messageResponse = answer(request, index, services, sent);
      await stream.write({ validHost: request.host, originalRequest: request, messageResponse });
    }
  });
  return [
    { definition: ServerReflectionV1, implementation: { serverReflectionInfo } },
    { definition: ServerReflectionV1Alpha, implementation: { serverReflectionInfo } },
  ];
}

/** Full names of the reflection services themselves. */
export const REFLECTION_SERVICE_NAMES = [
  'grpc.reflection.v1.ServerReflection',
  'grpc.reflection.v1alpha.ServerReflection',
] as const;

function answer(
  { messageRequest }: ServerReflectionRequest,
  index: DescriptorIndex,
  services: readonly string[],
  sent: Set<string>,
): Answer {
  switch (messageRequest?.$case) {
    case 'listServices':
      return { $case: 'listServicesResponse', value: { service: services.map((name) => ({ name })) } };
    case 'fileByFilename':
      return files(index.fileByName(messageRequest.value), `no file '${messageRequest.value}'`, index, sent);
    case 'fileContainingSymbol':
      return files(index.fileBySymbol(messageRequest.value), `no symbol '${messageRequest.value}'`, index, sent);
    case 'fileContainingExtension': {
      const { containingType, extensionNumber } = messageRequest.value;
      const file = index.fileByExtension(containingType, extensionNumber);
      return files(file, `no extension ${extensionNumber} of '${containingType}'`, index, sent);
    }
    case 'allExtensionNumbersOfType': {
      const extensionNumber = index.extensionNumbers(messageRequest.value);
      if (extensionNumber === undefined) return failure(status.NOT_FOUND, `no message '${messageRequest.value}'`);
      const value = { baseTypeName: messageRequest.value, extensionNumber: [...extensionNumber] };
      return { $case: 'allExtensionNumbersResponse', value };
    }
    case undefined:
      return failure(status.INVALID_ARGUMENT, 'the request asks nothing: set one field of message_request');
  }
}

/** The file, and what it imports directly or indirectly, without what this stream has been sent already. */
function files(file: DescriptorFile | undefined, missing: string, index: DescriptorIndex, sent: Set<string>): Answer {
  if (file === undefined) return failure(status.NOT_FOUND, missing);
  const bytes = [file.bytes];
  sent.add(file.name);
  const queue = [...file.dependencies];
  for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
    const dependency = index.fileByName(name);
    if (dependency === undefined || sent.has(name)) continue;
    sent.add(name);
    bytes.push(dependency.bytes);
    queue.push(...dependency.dependencies);
  }
  return { $case: 'fileDescriptorResponse', value: { fileDescriptorProto: bytes } };
}

function failure(errorCode: status, errorMessage: string): Answer {
  return { $case: 'errorResponse', value: { errorCode, errorMessage } };
}
