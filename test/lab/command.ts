import { spawn, spawnSync } from 'node:child_process';

/** How a command ended. */
export interface CommandResult {
  /** Exit status; `null` if a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Commands that the lab itself needs are short; one that takes longer hangs. */
const timeoutMs = 20_000;

/**
 * Runs one of the lab's own commands (ip, sh).
 *
 * @throws Error with the command's own words if it fails.
 */
export async function command(argv: readonly [string, ...string[]], input = ''): Promise<string> {
  const [program, ...args] = argv;
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], timeout: timeoutMs });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  // A program that ends without reading its input fails by its status.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  child.on('error', reject).on('close', resolve);
  if ((await promise) !== 0) throw new Error(`${argv.join(' ')}: ${stderr.trim() || `status ${child.exitCode}`}`);
  return stdout;
}

/** The same without leaving the caller: for signal and exit handlers. */
export function commandSync(argv: readonly [string, ...string[]]): CommandResult {
  const [program, ...args] = argv;
  const result = spawnSync(program, args, { encoding: 'utf8', timeout: timeoutMs });
  if (result.error !== undefined) throw result.error;
  return { code: result.status, signal: result.signal, stdout: result.stdout, stderr: result.stderr };
}
