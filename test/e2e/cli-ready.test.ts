import { mkdirSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { mcfleet } from '../fleet/fleet.ts';
import { until } from '../fleet/until.ts';
import type { CommandResult } from '../lab/command.ts';
import { Lab } from '../lab/lab.ts';
import type { LabProcess } from '../lab/process.ts';
import { chain } from '../lab/topologies.ts';
import { describeWithLab, labObstacle } from '../lab/when-possible.ts';

const host = 'relay';

const document = `apiVersion: mcfleet/v1
kind: Relay
metadata: {name: camera-7}
spec:
  hosts: {matchLabels: {role: edge}}
  input: {interface: veth1, group: 239.1.1.1, port: 5001}
  outputs:
    - {interface: veth3, address: 239.10.10.10, port: 6001}
`;

describeWithLab('mcfleet with an agent and a data plane', () => {
  let lab: Lab;
  const programs: LabProcess[] = [];
  let files: string;

  const run = (args: readonly string[], input = document): Promise<CommandResult> => {
    writeFileSync(`${files}/relay.yaml`, input);
    return lab.run(host, [mcfleet, ...args], { timeoutMs: 60_000 });
  };

  const describeRelay = async (): Promise<string> => (await run(['describe', 'relay', 'camera-7'])).stdout;

  beforeAll(async () => {
    if (labObstacle() !== undefined) return;
    lab = await Lab.create(chain());
    files = `${lab.directory}/files`;
    mkdirSync(files);
    programs.push(lab.start(host, [mcfleet, 'controller', '--data-dir', `${lab.directory}/controller`]));
    const socket = ['--dataplane-socket', `${lab.directory}/dataplane.sock`, '--state-dir', `${lab.directory}/agent`];
    const agent = ['agent', '--name', 'edge-1', '--controller', '127.0.0.1:7401', '--labels', 'role=edge'];
    programs.push(lab.start(host, [mcfleet, ...agent, ...socket]));
    await until('the agent is connected', async () => {
      for (const { running, stderr } of programs) if (!running) throw new Error(`a program has ended:\n${stderr}`);
      return (await run(['get', 'hosts', 'edge-1', '-o', 'json'])).stdout.includes('"connected": true');
    });
  });
  afterAll(() => lab?.[Symbol.asyncDispose]());

  it('applies and waits until it is ready, and shows what it carries', async () => {
    const applied = await run(['apply', '-f', `${files}/relay.yaml`, '--wait', '--timeout', '60s']);
    expect(applied).toMatchObject({ code: 0, stderr: '', stdout: 'relay camera-7 created\nrelay camera-7 ready\n' });
    const table = await run(['get', 'instances', 'camera-7']);
    expect(table.stdout).toMatch(/\ncamera-7 +edge-1 +Ready +USERSPACE /);

    const probe = ['probe', 'send', '--interface', 'veth0', '--group', '239.1.1.1', '--port', '5001'];
    const sent = await lab.run('gen', [mcfleet, ...probe, '--rate', '1000', '--count', '500', '--size', '200']);
    expect(sent.code).toBe(0);
    await expect
      .poll(describeRelay)
      .toMatch(
        /\n {2}Received: +500 packets[\s\S]*\n {4}239\.10\.10\.10:6001@veth3 +500 +\d+ +yes +(gso|sendmmsg) \(.*\) +0\n/,
      );
    expect(await describeRelay()).not.toContain('What to do');
  });

  it('is not ready for a change because it was before', async () => {
    const missing = document.replace('veth1', 'later0');
    const applied = await run(['apply', '-f', `${files}/relay.yaml`, '--wait', '--timeout', '1s'], missing);
    expect(applied.code).toBe(1);
    expect(applied.stdout).toBe('relay camera-7 updated\n');
    expect(applied.stderr).toMatch(/^relay camera-7 is not ready: /);
    await expect
      .poll(describeRelay)
      .toMatch(/What to do:\n {2}- edge-1: input interface later0 does not exist on this host;/);
    // Its output could, and yet nothing passes.
    await expect.poll(describeRelay).toMatch(/@veth3 +500 +\d+ +no \(the relay waits\)/);
    const again = await run(['apply', '-f', `${files}/relay.yaml`, '--wait', '--timeout', '1s'], missing);
    expect(again.code).toBe(1);
    expect(again.stdout).toBe('relay camera-7 unchanged\n');
    expect(again.stderr).toMatch(/^relay camera-7 is not ready: .*later0/);
  });

  it('waits until the interface that was missing comes', async () => {
    const waiting = run(['wait', 'relay', 'camera-7', '--for=ready', '--timeout', '60s']);
    // It has to have begun; if it has not by then, it finds a relay that is ready.
    await new Promise((resolve) => setTimeout(resolve, 500));
    const up = ['link set later0 up', 'link set later1 up'];
    await lab.ip(host, 'link add later0 type veth peer name later1', 'address add 10.0.9.1/24 dev later0', ...up);
    expect(await waiting).toMatchObject({ code: 0, stderr: '', stdout: 'relay camera-7 ready\n' });
  });

  it('describes the host with its interfaces', async () => {
    const { stdout } = await run(['describe', 'host', 'edge-1']);
    expect(stdout).toContain('Connected:     yes\n');
    expect(stdout).toMatch(/\n {2}veth1 +\d+ +up +veth +1500 +10\.0\.0\.2\/24,/);
    expect(stdout).toMatch(/\n {2}camera-7 +Ready +USERSPACE \(/);
  });
});
