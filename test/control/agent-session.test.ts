import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toDuration } from '@mcfleet/common/duration';
import { stateHash } from '@mcfleet/common/state-hash';
import { fromRpcStatus, toRpcStatus } from '@mcfleet/common/status-details';
import { uuidv7 } from '@mcfleet/common/uuid';
import { ApplyPhase, ConfigUpdate, SyncMode } from '@mcfleet/proto/mcfleet/v1/agent_service';
import { InstanceState, RelayEngine } from '@mcfleet/proto/mcfleet/v1/relay';
import { expect, it } from 'vitest';
import { agentPlace, askDataplane, logLines, MCFLEET, startAgent } from '../e2e/agent/agent-process.ts';
import { assignment, busy, ScriptedController, snapshotChunks } from '../e2e/agent/scripted-controller.ts';
import { scriptedLab } from '../e2e/agent/scripted-lab.ts';
import { describeWithLab } from '../lab/when-possible.ts';

/** Waits for an interface that this machine does not have: nothing but the session matters here. */
const waiting = (uid: string, generation = 1n) =>
  assignment(
    uid,
    {
      engine: RelayEngine.AUTO,
      input: { interface: `missing-${uid}`, group: '239.1.1.1', port: 5001 },
      outputs: [{ interface: 'veth2', address: '239.10.10.10', port: 6001 }],
    },
    generation,
  );

describeWithLab('the agent’s session', () => {
  it('greets with what the host is, takes updates in chunks, and answers relay by relay', async () => {
    await using f = await scriptedLab();
    await startAgent(f.lab, 'relay', f.controller.address, { args: ['--labels', 'site=a,role=edge'] });
    const session = await f.controller.session();
    const { hello } = session;
    expect(hello).toMatchObject({
      host: 'edge-1',
      protocolMin: 1,
      protocolMax: 1,
      labels: { site: 'a', role: 'edge' },
      clusterUid: '',
      highestTerm: 0n,
      appliedRevision: 0n,
      known: [],
      kernel: readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim(),
      bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
    });
    expect(hello.stateHash).toEqual(stateHash([]));
    const veth1 = hello.inventory?.interfaces.find(({ name }) => name === 'veth1');
    expect(veth1).toMatchObject({ kind: 'veth', flags: expect.arrayContaining(['UP', 'LOWER_UP', 'MULTICAST']) });

    await session.welcome();
    const foreign = assignment('foreign', {
      // Of a controller that is newer than this agent.
      engine: 99 as RelayEngine,
      input: { interface: 'veth1', group: '239.1.1.1' },
      outputs: [{ interface: 'veth2', address: '239.1.1.1' }],
    });
    const relays = [waiting('a'), waiting('b'), foreign];
    const answer = await session.snapshot(relays, { revision: 7n });
    expect(answer).toMatchObject({ revision: 7n, phase: ApplyPhase.PARTIAL, error: undefined });
    expect(answer.stateHash).toEqual(stateHash(relays));
    const byUid = new Map(answer.results.map((result) => [result.uid, result]));
    const pending = byUid.get('a');
    expect(pending).toMatchObject({ state: InstanceState.PENDING, generation: 1n, engineReason: 'REWRITE_REQUESTED' });
    expect(pending?.error && fromRpcStatus(pending.error)).toMatchObject({
      reason: 'InterfaceNotFound',
      message: expect.stringContaining('missing-a'),
    });
    const failed = byUid.get('foreign');
    expect(failed?.state).toBe(InstanceState.FAILED);
    expect(failed?.error && fromRpcStatus(failed.error).reason).toBe('EngineUnknown');

    const beat = await session.waitFor('heartbeat', ({ appliedRevision }) => appliedRevision === 7n);
    expect(beat.stateHash).toEqual(stateHash(relays));
    expect(beat.storageMessage).toBe('');

    const removed = await session.snapshot([waiting('b', 2n)], { revision: 8n });
    expect(
      removed.results
        .filter((result) => result.removed)
        .map(({ uid }) => uid)
        .sort(),
    ).toEqual(['a', 'foreign']);
    expect(removed.results.find(({ uid }) => uid === 'b')).toMatchObject({ generation: 2n, removed: false });
  });

  it('tells new interfaces, and a relay that starts to wait for another reason', async () => {
    await using f = await scriptedLab();
    await startAgent(f.lab, 'relay', f.controller.address);
    const session = await f.controller.session();
    await session.welcome();
    await session.snapshot([waiting('a')], { revision: 1n });
    await f.lab.ip('relay', 'link add missing-a type veth peer name other');
    const inventory = await session.waitFor('inventory', ({ interfaces }) =>
      interfaces.some(({ name }) => name === 'missing-a'),
    );
    expect(inventory.interfaces.find(({ name }) => name === 'missing-a')?.flags).not.toContain('UP');
    const report = await session.waitFor('instanceReport', ({ results }) =>
      results.some(({ error }) => error !== undefined && fromRpcStatus(error).reason === 'InterfaceDown'),
    );
    expect(report.results).toMatchObject([{ uid: 'a', state: InstanceState.PENDING }]);
  });

  it('resumes after the controller was away, and after it was itself killed', async () => {
    await using f = await scriptedLab();
    const agent = await startAgent(f.lab, 'relay', f.controller.address);
    const relays = [waiting('a'), waiting('b')];
    const first = await f.controller.session();
    await first.welcome({ term: 3n });
    await first.snapshot(relays, { revision: 5n, term: 3n });

    await f.controller.stop();
    await f.controller.start();
    const back = await f.controller.session();
    const held = { clusterUid: 'c1', highestTerm: 3n, appliedRevision: 5n, stateHash: stateHash(relays) };
    expect(back.hello).toMatchObject({ ...held, instanceUid: first.hello.instanceUid });
    expect(back.hello.known.map(({ uid }) => uid).sort()).toEqual(['a', 'b']);
    await back.welcome({ term: 3n, sync: SyncMode.UP_TO_DATE });
    // A controller that was restarted knows no states: they are told again without being asked for.
    await back.waitFor('instanceReport', ({ results }) => results.length === 2);

    await agent.kill();
    await startAgent(f.lab, 'relay', f.controller.address);
    const other = await f.controller.session();
    expect(other.hello).toMatchObject(held);
    expect(other.hello.instanceUid).not.toBe(first.hello.instanceUid);
  });

  it('tries its controllers in turn, and moves to the next when one is gone', async () => {
    await using f = await scriptedLab();
    const other = new ScriptedController(join(f.lab.directory, 'other.sock'));
    await startAgent(f.lab, 'relay', `${other.address},${f.controller.address}`);
    const session = await f.controller.session();
    await session.welcome();
    await session.snapshot([waiting('a')], { revision: 1n });
    await f.controller.stop();
    await other.start();
    try {
      expect((await other.session()).hello).toMatchObject({
        appliedRevision: 1n,
        stateHash: stateHash([waiting('a')]),
      });
    } finally {
      await other.stop();
    }
  });

  it('that breaks while an update is carried out is followed by one that tells that update', async () => {
    await using f = await scriptedLab();
    const agent = await startAgent(f.lab, 'relay', f.controller.address);
    await agent.waitForOutput(/the data plane answers/);
    const first = await f.controller.session();
    await first.welcome();
    await first.snapshot([waiting('a')], { revision: 1n });
    const { socket } = agentPlace(f.lab);
    const { status } = await askDataplane(socket);
    // The agent has the update, and cannot finish it: its data plane does not answer.
    process.kill(status.pid, 'SIGSTOP');
    try {
      const update = { nonce: 9n, term: 1n, revision: 2n, baseRevision: 1n, lastChunk: true };
      const targetStateHash = stateHash([waiting('a'), waiting('b')]);
      const value = ConfigUpdate.fromPartial({ ...update, upserts: [waiting('b')], targetStateHash });
      await first.send({ $case: 'configUpdate', value });
      await first.waitFor('heartbeat', ({ appliedRevision }) => appliedRevision === 2n);
      expect(first.received.filter((body) => body.$case === 'configStatus' && body.value.nonce === 9n)).toEqual([]);
      first.end();
      // Longer than it waits before it comes back.
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    } finally {
      process.kill(status.pid, 'SIGCONT');
    }
    const second = await f.controller.session();
    const both = stateHash([waiting('a'), waiting('b')]);
    expect(second.hello).toMatchObject({ appliedRevision: 2n, stateHash: both });
    expect(second.hello.known.map(({ uid }) => uid).sort()).toEqual(['a', 'b']);
    await second.welcome({ sync: SyncMode.DELTA });
    // A controller that takes it to hold less is refused, and nothing changes until the snapshot.
    const late = { nonce: 1n, term: 1n, revision: 3n, baseRevision: 1n, lastChunk: true, removedUids: ['a'] };
    await second.send({ $case: 'configUpdate', value: ConfigUpdate.fromPartial(late) });
    const refused = await second.waitFor('configStatus', ({ nonce }) => nonce === 1n);
    expect(refused).toMatchObject({ phase: ApplyPhase.REJECTED, stateHash: both });
    expect(refused.error && fromRpcStatus(refused.error).reason).toBe('BASE_REVISION_MISMATCH');
    second.end();
    const third = await f.controller.session();
    expect(third.hello).toMatchObject({ appliedRevision: 2n, stateHash: both });
    await third.welcome();
    expect(await third.snapshot([waiting('b')], { revision: 3n })).toMatchObject({
      phase: ApplyPhase.APPLIED,
      stateHash: stateHash([waiting('b')]),
    });
  });

  it('drops an update that its stream did not finish', async () => {
    await using f = await scriptedLab();
    await startAgent(f.lab, 'relay', f.controller.address);
    const first = await f.controller.session();
    await first.welcome();
    await first.snapshot([waiting('a')], { revision: 1n });
    const [chunk] = snapshotChunks([waiting('b'), waiting('c')], { nonce: 9n, term: 1n, revision: 2n });
    await first.send({ $case: 'configUpdate', value: chunk ?? ConfigUpdate.fromPartial({}) });
    first.end();
    const second = await f.controller.session();
    expect(second.hello).toMatchObject({ appliedRevision: 1n, stateHash: stateHash([waiting('a')]) });
  });

  it('refuses a controller whose term is lower, and keeps what it has', async () => {
    await using f = await scriptedLab();
    const agent = await startAgent(f.lab, 'relay', f.controller.address);
    const good = await f.controller.session();
    await good.welcome({ term: 4n });
    await good.snapshot([waiting('a')], { revision: 9n, term: 4n });
    const stale = await good.snapshot([], { revision: 10n, term: 3n });
    expect(stale.phase).toBe(ApplyPhase.REJECTED);
    expect(stale.error && fromRpcStatus(stale.error).reason).toBe('STALE_CONTROLLER');
    expect(stale.stateHash).toEqual(stateHash([waiting('a')]));
    good.end();
    const old = await f.controller.session();
    expect(old.hello.highestTerm).toBe(4n);
    await old.welcome({ term: 3n });
    await agent.waitForOutput(/STALE_CONTROLLER.*has term 3, lower than 4/);
    expect((await f.controller.session()).hello.appliedRevision).toBe(9n);
  });

  it('replaces its state by the snapshot of the cluster that it is to adopt, and says goodbye to any other', async () => {
    await using f = await scriptedLab();
    const adopted = uuidv7();
    const agent = await startAgent(f.lab, 'relay', f.controller.address, { args: ['--adopt-cluster', adopted] });
    const one = await f.controller.session();
    await one.welcome({ term: 8n });
    await one.snapshot([waiting('a')], { revision: 9n, term: 8n });
    one.end();
    const third = await f.controller.session();
    await third.welcome({ clusterUid: 'c3', term: 9n });
    const { reason } = await third.waitFor('goodbye');
    expect(reason).toMatch(/this host belongs to cluster c1 and the controller to cluster c3/);
    third.end();
    const other = await f.controller.session();
    expect(other.hello).toMatchObject({ clusterUid: 'c1', highestTerm: 8n, appliedRevision: 9n });
    await expect
      .poll(() => logLines(agent))
      .toContainEqual(expect.objectContaining({ level: 'warn', reason: 'OTHER_CLUSTER' }));
    await other.welcome({ clusterUid: adopted, term: 1n });
    const answer = await other.snapshot([waiting('b')], { revision: 1n, term: 1n });
    expect(answer.phase).toBe(ApplyPhase.APPLIED);
    other.end();
    const after = await f.controller.session();
    expect(after.hello).toMatchObject({ clusterUid: adopted, highestTerm: 1n, appliedRevision: 1n });
  });

  it('stays away as long as the controller asks, and says goodbye', async () => {
    await using f = await scriptedLab();
    const agent = await startAgent(f.lab, 'relay', f.controller.address);
    const session = await f.controller.session();
    await session.welcome();
    await session.waitFor('heartbeat');
    const asked = performance.now();
    await session.send({ $case: 'control', value: { reason: toRpcStatus(busy(0)), retryDelay: toDuration(1_500) } });
    const later = await f.controller.session();
    expect(performance.now() - asked).toBeGreaterThanOrEqual(1_450);
    await later.welcome();
    await later.waitFor('heartbeat');
    expect((await agent.stop()).code).toBe(0);
    await later.waitFor('goodbye');
  });

  it('sets a corrupt state file aside, and gets its state again as a snapshot', async () => {
    await using f = await scriptedLab();
    const agent = await startAgent(f.lab, 'relay', f.controller.address);
    const session = await f.controller.session();
    await session.welcome();
    await session.snapshot([waiting('a')], { revision: 3n });
    await agent.stop();
    const { stateDir } = agentPlace(f.lab);
    const bytes = readFileSync(join(stateDir, 'state.bin'));
    bytes.writeUInt8(bytes.readUInt8(40) ^ 0x10, 40);
    writeFileSync(join(stateDir, 'state.bin'), bytes);
    const again = await startAgent(f.lab, 'relay', f.controller.address);
    const fresh = await f.controller.session();
    expect(fresh.hello).toMatchObject({ clusterUid: 'c1', appliedRevision: 0n, known: [] });
    const aside = readdirSync(stateDir).filter((name) => name.startsWith('state.bin.corrupt-'));
    expect(aside).toHaveLength(1);
    expect(readFileSync(join(stateDir, aside[0] ?? ''))).toEqual(bytes);
    await expect
      .poll(() => logLines(again))
      .toContainEqual(expect.objectContaining({ level: 'error', reason: 'STATE_FILE_CORRUPT' }));
    await fresh.welcome();
    await fresh.snapshot([waiting('a')], { revision: 3n });
    await expect.poll(() => readdirSync(stateDir)).toContain('state.bin');
  });

  it('lets only one agent use a state directory', async () => {
    await using f = await scriptedLab();
    const agent = await startAgent(f.lab, 'relay', f.controller.address);
    const { stateDir, socket } = agentPlace(f.lab);
    const argv = [MCFLEET, 'agent', '--name', 'x', '--controller', f.controller.address, '--state-dir', stateDir];
    const second = await f.lab.run('relay', [...argv, '--dataplane-socket', `${socket}2`]);
    expect(second.code).toBe(1);
    expect(second.stderr).toContain(`another agent (process ${agent.pid}) uses the state directory ${stateDir}`);
  });

  it('goes on from memory when the disk is full, says so, and stores the state when there is room', async () => {
    await using f = await scriptedLab();
    const { stateDir } = agentPlace(f.lab);
    // A file system of four pages: the pid, the cluster, a small state and its successor fit, a large one does not.
    const script = `mkdir -p ${stateDir} && mount -t tmpfs -o size=16k tmpfs ${stateDir} && exec "$@"`;
    const argv = [MCFLEET, 'agent', '--name', 'edge-1', '--controller', f.controller.address, '--state-dir', stateDir];
    const agent = f.lab.start('relay', [
      ...['unshare', '--mount', 'sh', '-c', script, 'sh'],
      ...[...argv, '--dataplane-socket', agentPlace(f.lab).socket],
    ]);
    const session = await f.controller.session();
    await session.welcome();
    const many = Array.from({ length: 100 }, (_, i) => waiting(`relay-${i}`));
    const answer = await session.snapshot(many, { revision: 4n });
    expect(answer).toMatchObject({ phase: ApplyPhase.APPLIED, stateHash: stateHash(many) });
    const beat = await session.waitFor('heartbeat', ({ storageMessage }) => storageMessage !== '');
    expect(beat.storageMessage).toContain('no space left');
    await agent.waitForOutput(/cannot store the state/);
    expect(logLines(agent).filter(({ msg }) => msg.includes('cannot store the state'))).toHaveLength(1);
    await session.snapshot([waiting('a')], { revision: 5n });
    await session.waitFor(
      'heartbeat',
      ({ storageMessage, appliedRevision }) => storageMessage === '' && appliedRevision === 5n,
    );
  });
});
