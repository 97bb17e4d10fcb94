// npm run fuzz [-- --seconds N] [TARGET...]: builds the fuzz targets of native/test/fuzz with clang's libFuzzer under AddressSanitizer,
// LeakSanitizer and UndefinedBehaviorSanitizer, and runs each for N seconds (60). Ends with status 1 at a crash, a leak, an input that takes
// longer than 30 s, or more than 2 GiB of memory. The kept inputs and mutations of them are a part of npm test as well, without libFuzzer.
import { spawnSync } from 'node:child_process';
import { closeSync, globSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { missingCmake, NATIVE, run } from './ctest.ts';

const BUILD = join(NATIVE, 'build-fuzz');
const TARGETS = globSync('test/fuzz/*_fuzz.cc', { cwd: NATIVE })
  .map((path) => basename(path, '.cc'))
  .sort();
const USAGE = `usage: npm run fuzz [-- --seconds N] [TARGET...]; targets: ${TARGETS.join(', ')}`;

/** What libFuzzer did, as it says at the end, or undefined if it did not come to its end. */
export function readRuns(log: string): { readonly runs: number; readonly seconds: number } | undefined {
  const found = /^Done (\d+) runs in (\d+) second/m.exec(log);
  return found === null ? undefined : { runs: Number(found[1]), seconds: Number(found[2]) };
}

/** Why clang cannot build fuzz targets here, or undefined. */
function missingFuzzer(compiler: string): string | undefined {
  const directory = mkdtempSync(join(tmpdir(), 'mcfleet-fuzz-'));
  try {
    const source = join(directory, 'probe.cc');
    writeFileSync(source, 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }\n');
    const args = ['-fsanitize=fuzzer,address,undefined', source, '-o', join(directory, 'probe')];
    const { status, error, stderr } = spawnSync(compiler, args, { encoding: 'utf8' });
    if (error !== undefined) return `${compiler} is not installed (apt-get install clang)`;
    return status === 0 ? undefined : `${compiler} has no libFuzzer (package libclang-rt-N-dev): ${stderr.trim()}`;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function build(compiler: string): boolean {
  const options = [`-DCMAKE_CXX_COMPILER=${compiler}`, '-DMCFLEET_SANITIZE=address,undefined', '-DMCFLEET_FUZZ=ON'];
  return (
    run('cmake', ['-S', NATIVE, '-B', BUILD, ...options]) &&
    run('cmake', ['--build', BUILD, '--target', 'fuzz', '-j', String(availableParallelism())])
  );
}

/** Inputs that it finds are kept beside the build, and begun with the next time. */
function fuzz(target: string, seconds: number): boolean {
  const found = join(BUILD, `found-${target}`);
  const log = join(BUILD, `${target}.log`);
  mkdirSync(found, { recursive: true });
  const output = openSync(log, 'w');
  const args = [`-max_total_time=${seconds}`, '-timeout=30', `-artifact_prefix=${BUILD}/ended-${target}-`];
  const { status } = spawnSync(join(BUILD, target), [...args, found, join(NATIVE, 'test/fuzz/corpus', target)], {
    cwd: BUILD,
    stdio: ['ignore', output, output],
  });
  closeSync(output);
  const text = readFileSync(log, 'utf8');
  const done = readRuns(text);
  if (status === 0 && done !== undefined) {
    console.log(`${target}: ${done.runs} runs in ${done.seconds} s, no crash, no leak`);
    return true;
  }
  console.log(`${target}: FAILED with status ${status}; the whole log is ${log}`);
  console.log(text.split('\n').slice(-60).join('\n'));
  return false;
}

function readArguments():
  | { readonly values: { readonly seconds: string }; readonly positionals: string[] }
  | undefined {
  try {
    return parseArgs({ options: { seconds: { type: 'string', default: '60' } }, allowPositionals: true });
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n${USAGE}`);
    return undefined;
  }
}

function main(): number {
  const read = readArguments();
  if (read === undefined) return 2;
  const { values, positionals } = read;
  const seconds = Number(values.seconds);
  const unknown = positionals.filter((name) => !TARGETS.includes(name));
  if (!Number.isInteger(seconds) || seconds < 1 || unknown.length > 0) {
    console.error(unknown.length > 0 ? `there is no target ${unknown.join(', ')}\n${USAGE}` : USAGE);
    return 2;
  }
  const compiler = process.env.CXX ?? 'clang++';
  const missing = missingCmake() ?? missingFuzzer(compiler);
  if (missing !== undefined) {
    const mustRun = process.env.CI !== undefined && process.env.CI !== '' && process.env.CI !== 'false';
    console.error(`${mustRun ? 'failed' : 'SKIPPED'}: fuzzing of ${TARGETS.join(', ')}: ${missing}`);
    return mustRun ? 1 : 0;
  }
  if (!build(compiler)) return 1;
  const failed = (positionals.length > 0 ? positionals : TARGETS).filter((target) => !fuzz(target, seconds));
  console.log(failed.length === 0 ? 'all targets ran to their end' : `failed: ${failed.join(', ')}`);
  return failed.length === 0 ? 0 : 1;
}

if (import.meta.main) process.exitCode = main();
