/** `npm run bench`: measures mcfleet against its peers. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release } from 'node:os';
import { join } from 'node:path';
import { requireLabAccess } from '../lab/access.ts';
import { BenchRun } from './bench-run.ts';
import type { BenchCase } from './case.ts';
import { replaceFigures } from './document.ts';
import { besideOthers, fullEffort, quickEffort } from './effort.ts';
import { type Engine, type EngineName, NotOffered } from './engine.ts';
import { kernelMfc } from './engines/kernel-mfc.ts';
import { mcfleet } from './engines/mcfleet.ts';
import { mcfleetKernel } from './engines/mcfleet-kernel.ts';
import { socat } from './engines/socat.ts';
import { measureLatency } from './latency.ts';
import { judge } from './must-hold/requirements.ts';
import { type BenchCommand, parseCommand } from './options.ts';
import { measureOutputFailure } from './output-failure.ts';
import { withRatios } from './ratios.ts';
import { giveRealtimePriority } from './realtime.ts';
import {
  type BenchReport,
  type CaseReport,
  type Failed,
  LEFT_OUT,
  type Machine,
  type Result,
  type Unavailable,
} from './results.ts';
import { RELAY_CPU, SENDER_CPU } from './stage.ts';
import { renderReport } from './table.ts';
import { measureThroughput } from './throughput.ts';
import { measureUpkeep } from './upkeep.ts';

const ROOT = join(import.meta.dirname, '../..');
const DOCUMENT = join(ROOT, 'docs/measurements.md');

type RunCommand = Extract<BenchCommand, { kind: 'run' }>;

const engines: Readonly<Record<EngineName, Engine>> = {
  mcfleet,
  'mcfleet-kernel': mcfleetKernel,
  socat: socat(false),
  'socat-tuned': socat(true),
  'kernel-mfc': kernelMfc,
};

async function measure(run: BenchRun, benchCase: BenchCase, engine: Engine): Promise<Result> {
  switch (benchCase.kind) {
    case 'throughput':
      return await measureThroughput(run, benchCase, engine);
    case 'latency':
      return await measureLatency(run, benchCase, engine);
    case 'upkeep':
      return await measureUpkeep(run, benchCase, engine);
    case 'output-failure':
      return await measureOutputFailure(run, benchCase, engine);
  }
}

function failed(engine: EngineName, error: unknown): Failed | Unavailable {
  if (error instanceof NotOffered) return { kind: 'not-available', engine, reason: error.message };
  return { kind: 'failed', engine, error: error instanceof Error ? error.message : String(error) };
}

async function runCase(run: BenchRun, benchCase: BenchCase, { relays, fewer }: RunCommand): Promise<CaseReport> {
  const { id, title } = benchCase;
  const results: Result[] = [];
  for (const name of benchCase.engines.filter((one) => relays.includes(one))) {
    const engine = engines[name];
    const reason = !fewer || benchCase.quick.includes(name) ? await engine.obstacle(benchCase.plan) : LEFT_OUT;
    if (reason !== undefined) {
      results.push({ kind: 'not-available', engine: name, reason });
      continue;
    }
    const start = performance.now();
    results.push(await measure(run, benchCase, engine).catch((error: unknown) => failed(name, error)));
    process.stderr.write(`bench: ${id}, ${name}: ${((performance.now() - start) / 1_000).toFixed(1)} s\n`);
  }
  return { id, title, results: withRatios(results) };
}

function git(...args: string[]): string {
  return execFileSync('git', ['-C', ROOT, ...args], { encoding: 'utf8' }).trim();
}

function machine(loadBefore: readonly number[], realtime: boolean): Machine {
  const [first] = cpus();
  return {
    kernel: release(),
    cpu: first?.model ?? 'unknown processor',
    cores: cpus().length,
    sender_core: SENDER_CPU,
    relay_core: RELAY_CPU,
    realtime,
    load_before: loadBefore,
    load_after: loadavg(),
  };
}

async function runBench(command: RunCommand, args: readonly string[]): Promise<void> {
  if (cpus().length < 2) throw new Error('the bench needs two cores, one for the sender and one for the relay');
  const loadBefore = loadavg();
  const start = performance.now();
  const cases: CaseReport[] = [];
  {
    const effort = command.quick ? quickEffort : fullEffort;
    await using run = new BenchRun({
      effort: command.realtime ? besideOthers(effort) : effort,
      realtime: command.realtime,
      verbose: command.verbose,
    });
    if (command.realtime) await giveRealtimePriority([process.pid], false);
    for (const benchCase of command.cases) {
      cases.push(await runCase(run, benchCase, command));
    }
  }
  const mustHold = judge(cases);
  const report: BenchReport = {
    schema: 'mcfleet-bench/1',
    command: ['npm run bench', ...(args.length > 0 ? ['--', ...args] : [])].join(' '),
    date: new Date().toISOString(),
    seconds: Math.round((performance.now() - start) / 1_000),
    commit: git('rev-parse', '--short=12', 'HEAD') + (git('status', '--porcelain') === '' ? '' : '+changes'),
    machine: machine(loadBefore, command.realtime),
    cases,
    must_hold: mustHold,
  };
  const text = renderReport(report);
  process.stdout.write(`${text}\n`);
  if (cases.some(({ results }) => results.some(({ kind }) => kind === 'failed'))) process.exitCode = 1;
  if (command.require && mustHold.some(({ counts, verdict }) => counts && verdict !== 'HOLDS')) process.exitCode = 1;
  if (command.json !== undefined) writeFileSync(command.json, `${JSON.stringify(report, null, 2)}\n`);
  if (command.writeDocs) writeFileSync(DOCUMENT, replaceFigures(readFileSync(DOCUMENT, 'utf8'), text));
}

/** Why the figures cannot be written where they shall be: to be known before anything is measured. */
function obstacleToWriting({ json, writeDocs }: RunCommand): string | undefined {
  try {
    if (json !== undefined) writeFileSync(json, '');
    if (writeDocs) replaceFigures(readFileSync(DOCUMENT, 'utf8'), '');
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function refuse(message: string): void {
  process.stderr.write(`bench: ${message}\n`);
  process.exitCode = 2;
}

const args = process.argv.slice(2);
const command = parseCommand(args);
switch (command.kind) {
  case 'print':
    process.stdout.write(command.text);
    break;
  case 'usage-error':
    refuse(command.message);
    break;
  case 'run': {
    await requireLabAccess();
    const obstacle = obstacleToWriting(command);
    if (obstacle === undefined) await runBench(command, args);
    else refuse(obstacle);
  }
}
