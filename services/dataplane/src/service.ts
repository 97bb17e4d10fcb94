import type { Clock } from '@mcfleet/common/clock';
import { toDuration } from '@mcfleet/common/duration';
import { unary } from '@mcfleet/common/grpc/handlers';
import type { ServiceRegistration } from '@mcfleet/common/grpc/server';
import { toRpcStatus } from '@mcfleet/common/status-details';
import { VERSION } from '@mcfleet/common/version';
import type { Forwarder } from '@mcfleet/native';
import {
  type ApplyRequest,
  type ApplyResponse,
  DataplaneServiceService,
  type SnapshotRequest,
  type StatusRequest,
  type StatusResponse,
} from '@mcfleet/proto/mcfleet/v1/dataplane_service';
import { Dataplane } from './dataplane.ts';
import { kernelCapabilities } from './kernel/capabilities.ts';
import type { KernelEngine } from './kernel/kernel-engine.ts';
import { toConditions, toInputStatus, toOutputStatus, toPacketPathOptions, toWorkerStatus } from './messages.ts';
import type { DataplaneOptions } from './options.ts';
import { encodeSnapshot } from './snapshot.ts';

/** 10,000 relays with some outputs each are a few MiB. */
export const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;

/** Snapshots come encoded. */
const DEFINITION = {
  ...DataplaneServiceService,
  snapshot: { ...DataplaneServiceService.snapshot, responseSerialize: (bytes: Buffer) => bytes },
};

/** DataplaneService on a forwarder and the kernel engine, which were made with `options`. */
export function dataplaneService(
  forwarder: Forwarder,
  kernel: KernelEngine,
  options: Pick<DataplaneOptions, 'forwarding' | 'mrouteTable'>,
  clock: Clock,
): ServiceRegistration {
  const dataplane = new Dataplane(forwarder, kernel);
  const kernelEngines = kernelCapabilities();
  const startTime = new Date(performance.timeOrigin);

  const implementation = {
    apply: unary<ApplyRequest, ApplyResponse>(async (request, { log }) => {
      const start = clock.monotonic();
      const errors = await dataplane.apply(request);
      const refused = errors.filter((error) => error !== undefined).length;
      const change = {
        upserts: request.upserts.length,
        removed: request.removedUids.length,
        replace_all: request.replaceAll,
      };
      log.info({ ...change, refused, relays: dataplane.programmed.size, ms: clock.monotonic() - start }, 'applied');
      return {
        results: request.upserts.map(({ uid }, index) => {
          const error = errors[index];
          return { uid, error: error && toRpcStatus(error) };
        }),
        duration: toDuration(clock.monotonic() - start),
      };
    }),

    snapshot: unary(({ uids, since }: SnapshotRequest) =>
      // Not while a change is under way: counters and identities would be of different programs.
      dataplane.exclusively(async () => {
        const all = uids.length === 0;
        const losses = all ? await forwarder.losses() : [];
        await kernel.refresh();
        const { mark, changed } = all ? dataplane.read(since) : { mark: '', changed: undefined };
        const wanted = all ? (changed ?? [...dataplane.programmed.keys()]) : uids;
        const head = { mark, partial: changed !== undefined, time: new Date(clock.now()) };
        return encodeSnapshot(forwarder, kernel, dataplane.programmed, wanted, losses, head);
      }),
    ),

    status: unary<StatusRequest, StatusResponse>(async () => {
      const status = forwarder.status();
      const { capabilities, inputs, outputs, workers } = status;
      return {
        version: VERSION,
        pid: process.pid,
        startTime,
        relays: dataplane.programmed.size,
        capabilities: [...capabilities, ...kernelEngines],
        inputs: inputs.map(toInputStatus),
        outputs: outputs.map(toOutputStatus),
        workers: workers.map(toWorkerStatus),
        options: toPacketPathOptions(options.forwarding, options.mrouteTable),
        conditions: toConditions(status),
      };
    }),
  } satisfies Record<keyof typeof DataplaneServiceService, unknown>;
  return { definition: DEFINITION, implementation };
}
