import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { removeLeftovers } from './leftovers.ts';

/** Whether this process may make network namespaces. */
export type LabAccess =
  /** As root, or as the root of a user namespace that was entered before. */
  | { readonly kind: 'direct' }
  /** Once it is started again inside a user namespace. */
  | { readonly kind: 'user-namespace' }
  | { readonly kind: 'none'; readonly reason: string };

let known: LabAccess | undefined;

/** Finds out by trying, once per process. */
export function labAccess(): LabAccess {
  known ??= probe();
  return known;
}

/** Whether this process is inside a user namespace: what it makes is not to be seen from outside. */
export function inUserNamespace(): boolean {
  // user_namespaces(7): the first user namespace maps all of 0 to 4294967295 to itself.
  return !/^\s*0\s+0\s+4294967295\s*$/.test(readFileSync('/proc/self/uid_map', 'utf8'));
}

/**
 * Runs a command that needs a lab: as it is, or inside a user namespace of its own with a private /run/netns. Signals are passed on.
 * Leftovers of earlier runs are removed before: from inside, those of other user namespaces cannot be seen.
 *
 * @returns its exit status; 128 + number if a signal ended it.
 */
export async function runWithLabAccess(argv: readonly [string, ...string[]]): Promise<number> {
  const access = labAccess();
  if (access.kind === 'none') throw new Error(access.reason);
  removeLeftovers();
  const [program, ...args] = access.kind === 'direct' ? argv : [...enterUserNamespace, ...argv];
  const child = spawn(program ?? 'false', args, { stdio: 'inherit' });
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const forward = (signal: NodeJS.Signals): void => {
    child.kill(signal);
  };
  for (const signal of signals) process.on(signal, forward);
  child.on('error', reject);
  child.on('exit', (code, signal) => resolve(code ?? (signal === 'SIGINT' ? 130 : 143)));
  const status = await promise;
  for (const signal of signals) process.off(signal, forward);
  return status;
}

/**
 * Starts this program again with lab access if it lacks it, and ends with its status; otherwise returns at once. To be called first
 * in main.
 */
export async function requireLabAccess(): Promise<void> {
  const access = labAccess();
  if (access.kind === 'direct') return;
  if (access.kind === 'none') {
    process.stderr.write(`${access.reason}\n`);
    process.exit(1);
  }
  process.exit(await runWithLabAccess([process.execPath, ...process.execArgv, ...process.argv.slice(1)]));
}

/**
 * `ip netns add` needs a /run/netns that we may mount in. The tmpfs is seen in here only. /run/netns itself is not there on a machine
 * that never had a namespace, and cannot be made without root: then all of /run is covered. Loopback serves programs in there that
 * talk to each other outside of any lab.
 */
const enterUserNamespace = [
  // Without a parent it is asked to end, and tidies up.
  'setpriv',
  '--pdeathsig',
  'TERM',
  'unshare',
  '--user',
  '--map-root-user',
  '--net',
  '--mount',
  'sh',
  '-c',
  'if [ -d /run/netns ]; then mount -t tmpfs tmpfs /run/netns; else mount -t tmpfs tmpfs /run && mkdir /run/netns; fi && ip link set dev lo up && exec "$@"',
  'sh',
] as const;

function probe(): LabAccess {
  if (process.getuid?.() === 0 && mayWriteRun() && succeeds(['unshare', '--net', '--mount', 'true']))
    return { kind: 'direct' };
  if (succeeds([...enterUserNamespace, 'unshare', '--net', '--mount', 'true'])) return { kind: 'user-namespace' };
  return { kind: 'none', reason: explainRefusal() };
}

function mayWriteRun(): boolean {
  for (const directory of ['/run/netns', '/run']) {
    try {
      accessSync(directory, constants.W_OK);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return false;
    }
  }
  return false;
}

function succeeds(argv: readonly string[]): boolean {
  const [program, ...args] = argv;
  return spawnSync(program ?? 'false', args, { stdio: 'ignore', timeout: 10_000 }).status === 0;
}

function explainRefusal(): string {
  const tried = spawnSync('unshare', ['--user', '--map-root-user', '--net', '--mount', 'true'], { encoding: 'utf8' });
  const words = tried.error?.message ?? tried.stderr.trim();
  return (
    `This machine forbids network namespaces${words === '' ? '' : ` (${words})`}. Run it as root, or allow user namespaces: ` +
    'sysctl user.max_user_namespaces above 0, and 0 in kernel.apparmor_restrict_unprivileged_userns where it exists; ' +
    'in a container, the privilege SYS_ADMIN.'
  );
}
