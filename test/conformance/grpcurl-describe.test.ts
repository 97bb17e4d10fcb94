import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { mcfleet } from '../fleet/fleet.ts';
import { LocalController } from '../fleet/local-controller.ts';
import { Lab } from '../lab/lab.ts';
import type { LabProcess } from '../lab/process.ts';
import { describeWithLab, labObstacle } from '../lab/when-possible.ts';
import { describeWithGrpcurl, grpcurl, lacksGrpcurl } from './grpcurl.ts';
import { readProtoSymbols } from './proto-symbols.ts';

const standard = [
  'grpc.health.v1.Health',
  'grpc.reflection.v1.ServerReflection',
  'grpc.reflection.v1alpha.ServerReflection',
];
const symbols = readProtoSymbols();

/** grpcurl processes at a time. */
const width = 4;

/** Asks one listener for everything it serves and for every message and enum that there is. */
async function describeEverything(target: readonly string[], services: readonly string[]): Promise<void> {
  const listed = await grpcurl([...target, 'list']);
  expect(listed).toMatchObject({ code: 0, stderr: '' });
  expect(listed.stdout.trim().split('\n').sort()).toEqual([...services, ...standard].sort());
  for (const service of services) {
    const methods = await grpcurl([...target, 'list', service]);
    const declared = symbols.methods.filter((method) => method.startsWith(`${service}.`));
    expect(methods.stdout.trim().split('\n').sort()).toEqual([...declared].sort());
    expect(declared.length).toBeGreaterThan(0);
  }
  const own = symbols.methods.filter((method) => services.some((service) => method.startsWith(`${service}.`)));
  const all = [...services, ...own, ...symbols.types, ...standard, 'google.rpc.Status', 'google.rpc.BadRequest'];
  const undescribed: string[] = [];
  const queue = [...all];
  const work = async (): Promise<void> => {
    for (let symbol = queue.pop(); symbol !== undefined; symbol = queue.pop()) {
      const { code, stdout } = await grpcurl([...target, 'describe', symbol]);
      if (code !== 0 || !stdout.startsWith(`${symbol} is a`)) undescribed.push(`${symbol}: exit ${code} ${stdout}`);
    }
  };
  await Promise.all(Array.from({ length: width }, work));
  expect(undescribed).toEqual([]);
}

describeWithGrpcurl('grpcurl describes every service, method and message', () => {
  let controller: LocalController;
  beforeAll(async () => {
    controller = await LocalController.start();
  });
  afterAll(() => controller[Symbol.asyncDispose]());

  it('of the admin listener', async () => {
    await describeEverything([controller.admin], ['mcfleet.v1.FleetService', 'mcfleet.v1.RelayService']);
  });

  it('of the agent listener', async () => {
    await describeEverything([controller.agent], ['mcfleet.v1.AgentService']);
  });

  it('with the comments of the .proto files', async () => {
    const { stdout } = await grpcurl([controller.admin, 'describe', 'mcfleet.v1.Relay']);
    expect(stdout).toContain('// The intent to relay one multicast input to one or more outputs on a set of hosts.');
    expect(stdout).toContain('// Rises by one with every change of `spec`. Starts at 1.');
    expect(stdout).toContain('int64 generation = 6');
    expect(stdout).toContain('map<string, string> labels = 4;');
  });
});

describeWithGrpcurl('grpcurl describes every service, method and message', () => {
  describeWithLab('of the data plane', () => {
    let lab: Lab | undefined;
    let dataplane: LabProcess;
    let target: readonly string[];
    beforeAll(async () => {
      if (lacksGrpcurl() || labObstacle() !== undefined) return;
      lab = await Lab.create({ namespaces: { host: {} }, links: [] });
      const socket = `${lab.directory}/dataplane.sock`;
      // grpcurl 1.9.3 takes a bare path for HOST:PORT, even with -unix.
      target = ['-unix', `unix://${socket}`];
      dataplane = lab.start('host', [mcfleet, 'dataplane', '--socket', socket]);
      for (let attempt = 0; attempt < 100; attempt++) {
        if ((await grpcurl([...target, 'list'])).code === 0) return;
        if (!dataplane.running) throw new Error(`the data plane has ended:\n${dataplane.stderr}`);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      throw new Error(`the data plane does not answer:\n${dataplane.stderr}`);
    });
    afterAll(() => lab?.[Symbol.asyncDispose]());

    it('of the unix socket', async () => {
      await describeEverything(target, ['mcfleet.v1.DataplaneService']);
    });

    it('as the help of the program says', async () => {
      const help = spawnSync(mcfleet, ['dataplane', '--help'], { encoding: 'utf8' }).stdout;
      const example = /^ {2}grpcurl -plaintext (.*)$/m.exec(help)?.[1] ?? '';
      expect(example).toContain('unix:///run/mcfleet/dataplane.sock');
      const here = example.replace('/run/mcfleet/dataplane.sock', `${lab?.directory}/dataplane.sock`);
      const { code, stdout, stderr } = await grpcurl(here.split(' '));
      expect(code, stderr).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ pid: dataplane.pid });
    });

    it('and calls it', async () => {
      const health = await grpcurl([...target, 'grpc.health.v1.Health/Check']);
      expect(JSON.parse(health.stdout)).toEqual({ status: 'SERVING' });
    });
  });
});
