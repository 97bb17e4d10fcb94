import { execFileSync } from 'node:child_process';

let serial = 0;

/** Why tests in network namespaces cannot run here, or `null`. */
export function namespaceObstacle(): string | null {
  const name = uniqueName();
  try {
    execFileSync('ip', ['netns', 'add', name], { stdio: 'pipe' });
    execFileSync('ip', ['netns', 'delete', name], { stdio: 'pipe' });
    return null;
  } catch (error) {
    return `cannot make network namespaces: ${error instanceof Error ? error.message.split('\n').at(-1) : error}`;
  }
}

function uniqueName(): string {
  serial += 1;
  return `mcn${process.pid}-${serial}`;
}

/** A network namespace of a test's own; `delete` removes it with everything in it. */
export class TestNamespace {
  readonly name = uniqueName();

  constructor() {
    execFileSync('ip', ['netns', 'add', this.name]);
    // Autoconfigured addresses appear seconds later and would look like changes.
    this.run('sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1', 'net.ipv6.conf.default.disable_ipv6=1');
    this.ip('link', 'set', 'lo', 'up');
  }

  ip(...parameters: string[]): void {
    execFileSync('ip', ['-n', this.name, ...parameters], { stdio: 'pipe' });
  }

  run(command: string, ...parameters: string[]): string {
    return execFileSync('ip', ['netns', 'exec', this.name, command, ...parameters], {
      stdio: 'pipe',
      encoding: 'utf8',
    });
  }

  /** Command and arguments that run `parameters` inside. */
  command(...parameters: string[]): [string, string[]] {
    return ['ip', ['netns', 'exec', this.name, ...parameters]];
  }

  delete(): void {
    execFileSync('ip', ['netns', 'delete', this.name]);
  }
}
