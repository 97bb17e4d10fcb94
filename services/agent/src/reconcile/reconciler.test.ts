import { status } from '@grpc/grpc-js';
import { FleetError } from '@mcfleet/common/error';
import { createLogger } from '@mcfleet/common/log';
import { ManualClock } from '@mcfleet/common/manual-clock';
import { fromRpcStatus, toRpcStatus } from '@mcfleet/common/status-details';
import { RelayAssignment, type RelayResult } from '@mcfleet/proto/mcfleet/v1/agent_service';
import {
  type ApplyRequest,
  ApplyResponse,
  type ProgrammedRelay,
  SnapshotResponse,
} from '@mcfleet/proto/mcfleet/v1/dataplane_service';
import { InstanceState, RelayEngine } from '@mcfleet/proto/mcfleet/v1/relay';
import { describe, expect, it } from 'vitest';
import { byName } from '../resolve/local-interfaces.ts';
import { type DataplaneCalls, Reconciler } from './reconciler.ts';

/** A data plane that fails as a test says: what the real one cannot be made to do at will. */
class FailingDataplane implements DataplaneCalls {
  readonly programs = new Map<string, ProgrammedRelay>();
  readonly requests: ApplyRequest[] = [];
  readonly refuse = new Map<string, FleetError>();
  broken: FleetError | undefined;
  outputsUp = true;
  inputDown = '';

  async snapshot(): Promise<SnapshotResponse> {
    if (this.broken !== undefined) throw this.broken;
    return SnapshotResponse.fromPartial({
      relays: [...this.programs.values()].map(({ uid, generation, digest, outputs }) => ({
        ...{ uid, generation, digest },
        counters: {
          outputs: outputs.map(({ key }) => ({
            output: key,
            up: this.outputsUp,
            downReason: this.outputsUp ? '' : 'SendFailed',
          })),
        },
      })),
      inputs: [{ ifindex: 1, up: this.inputDown === '', downReason: this.inputDown }],
    });
  }

  async apply(request: ApplyRequest): Promise<ApplyResponse> {
    this.requests.push(request);
    for (const uid of request.removedUids) this.programs.delete(uid);
    const results = request.upserts.map((program) => {
      const error = this.refuse.get(program.uid);
      if (error === undefined) this.programs.set(program.uid, program);
      return { uid: program.uid, error: error === undefined ? undefined : toRpcStatus(error) };
    });
    return ApplyResponse.fromPartial({ results, duration: { nanos: 1_000_000 } });
  }
}

function relay(uid: string, generation = 1n): RelayAssignment {
  return RelayAssignment.fromPartial({
    ...{ uid, name: `relays/${uid}`, generation },
    relay: {
      engine: RelayEngine.AUTO,
      input: { interface: 'in0', group: '239.1.1.1', port: 5001 },
      outputs: [{ interface: 'out0', address: '239.2.2.2', port: 6001 }],
    },
  });
}

const assignments = (...list: RelayAssignment[]) => new Map(list.map((assignment) => [assignment.uid, assignment]));
const refusal = (code: status, reason: string) => new FleetError({ code, reason, message: reason });

async function fixture({ begin } = { begin: true }) {
  const clock = new ManualClock();
  const dataplane = new FailingDataplane();
  const reports: RelayResult[][] = [];
  const trouble: string[] = [];
  const reconciler = new Reconciler({
    clock,
    log: createLogger({ component: 'test', level: 'silent' }),
    onResults: (changed) => reports.push([...changed]),
    onTrouble: (message) => trouble.push(message),
  });
  const base = { mac: '', mtu: 1500, flags: 0x10001, type: 1, operState: 'up', kind: 'veth' };
  await reconciler.setInterfaces(
    byName(['in0', 'out0'].map((name, i) => ({ ...base, name, index: i + 1, addresses: [`192.0.2.${i + 1}/24`] }))),
  );
  if (begin) await reconciler.begin();
  const up = () => reconciler.setDataplane({ running: true, client: dataplane, capabilities: new Set() });
  const now = () =>
    [...reconciler.results.values()].map(({ uid, state, error }) => [
      uid,
      state,
      error === undefined ? '' : fromRpcStatus(error).reason,
    ]);
  return { clock, dataplane, reports, trouble, reconciler, up, now };
}

describe('Reconciler', () => {
  it('programs what is missing and removes what is too much in one call, and nothing when all agrees', async () => {
    const f = await fixture();
    await f.reconciler.setAssignments(assignments(relay('a'), relay('b')), true);
    expect(f.now()).toEqual([
      ['a', InstanceState.PENDING, 'DataplaneUnavailable'],
      ['b', InstanceState.PENDING, 'DataplaneUnavailable'],
    ]);
    await f.up();
    await f.reconciler.setAssignments(assignments(relay('b'), relay('c')), true);
    await f.reconciler.reconcile();
    expect(
      f.dataplane.requests.map(({ upserts, removedUids }) => [upserts.map(({ uid }) => uid), removedUids]),
    ).toEqual([
      [['a', 'b'], []],
      [['c'], ['a']],
    ]);
    expect(f.now().map(([uid, state]) => [uid, state])).toEqual([
      ['b', InstanceState.READY],
      ['c', InstanceState.READY],
    ]);
    expect(f.reconciler.results.get('c')?.applyDuration).toEqual({ seconds: 0n, nanos: 1_000_000 });
  });

  it('adopts a data plane that has it all', async () => {
    const f = await fixture();
    await f.up();
    await f.reconciler.setAssignments(assignments(relay('a')), true);
    const next = await fixture();
    for (const program of f.dataplane.programs.values()) next.dataplane.programs.set(program.uid, program);
    await next.reconciler.setAssignments(assignments(relay('a')), true);
    await next.up();
    expect(next.dataplane.requests).toEqual([]);
    expect(next.now()).toEqual([['a', InstanceState.READY, '']]);
  });

  it('takes nothing from a data plane that forwards before it knows what the host shall have', async () => {
    const f = await fixture();
    await f.up();
    await f.reconciler.setAssignments(assignments(relay('a'), relay('b')), true);

    const early = await fixture({ begin: false });
    for (const program of f.dataplane.programs.values()) early.dataplane.programs.set(program.uid, program);
    await early.up();
    await early.reconciler.setInterfaces(new Map());
    expect([...early.dataplane.programs.keys()]).toEqual(['a', 'b']);

    const lost = await fixture();
    for (const program of f.dataplane.programs.values()) lost.dataplane.programs.set(program.uid, program);
    await lost.reconciler.setAssignments(assignments(), false);
    await lost.up();
    lost.reconciler.observe(await lost.dataplane.snapshot());
    await lost.reconciler.reconcile();
    expect(lost.dataplane.requests).toEqual([]);
    await lost.reconciler.setAssignments(assignments(relay('b')), true);
    expect([...lost.dataplane.programs.keys()]).toEqual(['b']);
  });

  it('tries a transient refusal again by itself, and a permanent one not before it changes', async () => {
    const f = await fixture();
    f.dataplane.refuse.set('a', refusal(status.RESOURCE_EXHAUSTED, 'NoMemory'));
    f.dataplane.refuse.set('b', refusal(status.INVALID_ARGUMENT, 'Invalid'));
    await f.reconciler.setAssignments(assignments(relay('a'), relay('b'), relay('c')), true);
    await f.up();
    expect(f.now()).toEqual([
      ['a', InstanceState.PENDING, 'NoMemory'],
      ['b', InstanceState.FAILED, 'Invalid'],
      ['c', InstanceState.READY, ''],
    ]);
    f.dataplane.refuse.clear();
    f.clock.advance(1_000);
    await f.reconciler.reconcile();
    expect(f.dataplane.requests.at(-1)?.upserts.map(({ uid }) => uid)).toEqual(['a']);
    expect(f.now().map(([, state]) => state)).toEqual([InstanceState.READY, InstanceState.FAILED, InstanceState.READY]);
    await f.reconciler.setAssignments(assignments(relay('a'), relay('b', 2n), relay('c')), true);
    expect(f.now().map(([, state]) => state)).toEqual([InstanceState.READY, InstanceState.READY, InstanceState.READY]);
  });

  it('says when calls fail, and goes on by itself when they work again', async () => {
    const f = await fixture();
    await f.reconciler.setAssignments(assignments(relay('a')), true);
    f.dataplane.broken = refusal(status.DEADLINE_EXCEEDED, 'DEADLINE_EXCEEDED');
    await f.up();
    expect(f.now()).toEqual([['a', InstanceState.PENDING, 'DataplaneUnavailable']]);
    const told = ['the data plane of this host does not do as it is told: DEADLINE_EXCEEDED'];
    expect(f.trouble).toEqual(told);
    expect([...f.reconciler.results.values()].map(({ error }) => error?.message)).toEqual(told);
    f.dataplane.broken = undefined;
    f.clock.advance(500);
    await f.reconciler.reconcile();
    expect(f.now()).toEqual([['a', InstanceState.READY, '']]);
    expect(f.trouble).toEqual([...told, '']);
  });

  it('repairs what somebody else changed, when counters are read or within ten seconds', async () => {
    const f = await fixture();
    await f.reconciler.setAssignments(assignments(relay('a')), true);
    await f.up();
    f.dataplane.programs.clear();
    f.reconciler.observe(await f.dataplane.snapshot());
    await f.reconciler.reconcile();
    expect([...f.dataplane.programs.keys()]).toEqual(['a']);
    f.dataplane.programs.clear();
    f.clock.advance(10_000);
    await f.reconciler.reconcile();
    expect([...f.dataplane.programs.keys()]).toEqual(['a']);
  });

  it('never tells the state of the program before as that of the new one', async () => {
    const f = await fixture();
    await f.reconciler.setAssignments(assignments(relay('a')), true);
    await f.up();
    const reading = await f.dataplane.snapshot();
    const changing = f.reconciler.setAssignments(assignments(relay('a', 2n)), true);
    await Promise.resolve();
    f.reconciler.observe(reading);
    expect(f.reconciler.results.get('a')).toMatchObject({ generation: 1n, state: InstanceState.READY });
    await changing;
    expect(f.reconciler.results.get('a')).toMatchObject({ generation: 2n, state: InstanceState.READY });
  });

  it('reports what the data plane says of its links, once per change', async () => {
    const f = await fixture();
    await f.reconciler.setAssignments(assignments(relay('a')), true);
    await f.up();
    const before = f.reports.length;
    f.dataplane.outputsUp = false;
    f.reconciler.observe(await f.dataplane.snapshot());
    f.reconciler.observe(await f.dataplane.snapshot());
    expect(f.now()).toEqual([['a', InstanceState.PENDING, 'SendFailed']]);
    f.dataplane.outputsUp = true;
    f.dataplane.inputDown = 'RingFailed';
    f.reconciler.observe(await f.dataplane.snapshot());
    expect(f.now()).toEqual([['a', InstanceState.PENDING, 'RingFailed']]);
    expect(f.reports.length - before).toBe(2);
  });
});
