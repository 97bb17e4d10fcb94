import { once } from 'node:events';
import type { ClientDuplexStream } from '@grpc/grpc-js';
import { status } from '@grpc/grpc-js';
import { FileDescriptorProto } from '@mcfleet/proto/google/protobuf/descriptor';
import {
  ServerReflectionClient as ClientV1,
  type ServerReflectionRequest,
  type ServerReflectionResponse,
} from '@mcfleet/proto/grpc/reflection/v1/reflection';
import { ServerReflectionClient as ClientV1Alpha } from '@mcfleet/proto/grpc/reflection/v1alpha/reflection';
import { DataplaneServiceService } from '@mcfleet/proto/mcfleet/v1/dataplane_service';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Address } from '../listen.ts';
import { createLogger } from '../log.ts';
import { createClient } from './client.ts';
import { unary } from './handlers.ts';
import { GrpcServer } from './server.ts';

const never = unary(async () => Promise.reject(new Error('not in this test')));
const server = new GrpcServer({
  log: createLogger({ component: 'test', level: 'silent' }),
  services: [{ definition: DataplaneServiceService, implementation: { apply: never, snapshot: never, status: never } }],
});
let address: Address;
beforeAll(async () => {
  address = await server.listen({ kind: 'tcp', host: '127.0.0.1', port: 0 });
});
afterAll(() => server.stop({ graceMs: 0 }));

type Question = NonNullable<ServerReflectionRequest['messageRequest']>;
type Call = ClientDuplexStream<ServerReflectionRequest, ServerReflectionResponse>;

async function ask(
  call: Call,
  messageRequest: Question | undefined,
): Promise<ServerReflectionResponse['messageResponse']> {
  call.write({ host: 'h', messageRequest });
  const [response] = (await once(call, 'data')) as [ServerReflectionResponse];
  expect(response).toMatchObject({ validHost: 'h', originalRequest: { messageRequest } });
  return response.messageResponse;
}

function fileNames(response: ServerReflectionResponse['messageResponse']): string[] {
  if (response?.$case !== 'fileDescriptorResponse') throw new Error(`not files: ${JSON.stringify(response)}`);
  return response.value.fileDescriptorProto.map((bytes) => FileDescriptorProto.decode(bytes).name ?? '');
}

describe.each([
  ['v1', ClientV1],
  ['v1alpha', ClientV1Alpha],
])('%s', (_, Client) => {
  async function session(
    ...questions: (Question | undefined)[]
  ): Promise<ServerReflectionResponse['messageResponse'][]> {
    const client = createClient<ClientV1 | ClientV1Alpha>(Client, address);
    const call = client.serverReflectionInfo();
    const answers = [];
    for (const question of questions) answers.push(await ask(call, question));
    call.end();
    await once(call, 'status');
    client.close();
    return answers;
  }

  test('lists the services of the server and no others', async () => {
    const [answer] = await session({ $case: 'listServices', value: '*' });
    expect(answer?.$case === 'listServicesResponse' && answer.value.service.map(({ name }) => name)).toEqual([
      'grpc.health.v1.Health',
      'grpc.reflection.v1.ServerReflection',
      'grpc.reflection.v1alpha.ServerReflection',
      'mcfleet.v1.DataplaneService',
    ]);
  });

  test.each([
    ['service', 'mcfleet.v1.DataplaneService', 'mcfleet/v1/dataplane_service.proto'],
    ['method', 'mcfleet.v1.DataplaneService.Apply', 'mcfleet/v1/dataplane_service.proto'],
    ['message', 'mcfleet.v1.Relay', 'mcfleet/v1/relay.proto'],
    ['field', 'mcfleet.v1.Relay.name', 'mcfleet/v1/relay.proto'],
    ['nested message', 'google.rpc.BadRequest.FieldViolation', 'google/rpc/error_details.proto'],
    ['map entry', 'mcfleet.v1.Relay.LabelsEntry', 'mcfleet/v1/relay.proto'],
    ['oneof', 'mcfleet.v1.AgentMessage.body', 'mcfleet/v1/agent_service.proto'],
    ['enum', 'mcfleet.v1.RelayEngine', 'mcfleet/v1/relay.proto'],
    ['enum value', 'mcfleet.v1.RELAY_ENGINE_KERNEL', 'mcfleet/v1/relay.proto'],
    ['nested enum', 'grpc.health.v1.HealthCheckResponse.ServingStatus', 'grpc/health/v1/health.proto'],
    ['extension', 'google.api.field_behavior', 'google/api/field_behavior.proto'],
  ])('finds the file of a %s', async (_kind, symbol, file) => {
    const [answer] = await session({ $case: 'fileContainingSymbol', value: symbol });
    expect(fileNames(answer)[0]).toBe(file);
  });

  test('sends imports along, each once per stream', async () => {
    const [first, second] = await session(
      { $case: 'fileByFilename', value: 'mcfleet/v1/dataplane_service.proto' },
      { $case: 'fileByFilename', value: 'mcfleet/v1/relay.proto' },
    );
    expect(fileNames(first)).toEqual(
      expect.arrayContaining(['mcfleet/v1/relay.proto', 'mcfleet/v1/common.proto', 'google/protobuf/timestamp.proto']),
    );
    expect(fileNames(second)).toEqual(['mcfleet/v1/relay.proto']);
  });

  test('files carry their comments', async () => {
    const [answer] = await session({ $case: 'fileByFilename', value: 'mcfleet/v1/relay.proto' });
    if (answer?.$case !== 'fileDescriptorResponse') throw new Error('no file');
    const file = FileDescriptorProto.decode(answer.value.fileDescriptorProto[0] ?? Buffer.alloc(0));
    expect(file.sourceCodeInfo?.location.some(({ leadingComments }) => leadingComments)).toBe(true);
  });

  test('knows extensions by number', async () => {
    const [numbers, file] = await session(
      { $case: 'allExtensionNumbersOfType', value: 'google.protobuf.FieldOptions' },
      {
        $case: 'fileContainingExtension',
        value: { containingType: 'google.protobuf.FieldOptions', extensionNumber: 1052 },
      },
    );
    expect(numbers).toMatchObject({ value: { baseTypeName: 'google.protobuf.FieldOptions', extensionNumber: [1052] } });
    expect(fileNames(file)[0]).toBe('google/api/field_behavior.proto');
  });

  test('what is unknown is told, and the stream goes on', async () => {
    const answers = await session(
      { $case: 'fileContainingSymbol', value: 'mcfleet.v1.Nope' },
      { $case: 'fileByFilename', value: 'nope.proto' },
      { $case: 'allExtensionNumbersOfType', value: 'nope.Nope' },
      { $case: 'fileContainingExtension', value: { containingType: 'mcfleet.v1.Relay', extensionNumber: 1 } },
      undefined,
      { $case: 'fileByFilename', value: 'mcfleet/v1/relay.proto' },
    );
    const codes = answers.map((answer) => (answer?.$case === 'errorResponse' ? answer.value.errorCode : answer?.$case));
    const { NOT_FOUND, INVALID_ARGUMENT } = status;
    expect(codes).toEqual([NOT_FOUND, NOT_FOUND, NOT_FOUND, NOT_FOUND, INVALID_ARGUMENT, 'fileDescriptorResponse']);
  });
});
