import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { callUnary, createClient } from '@mcfleet/common/grpc/client';
import { parseListenAddress } from '@mcfleet/common/listen';
import { FleetServiceClient } from '@mcfleet/proto/mcfleet/v1/fleet_service';
import { Host } from '@mcfleet/proto/mcfleet/v1/host';
import { expect, test } from 'vitest';
import { TestAgent } from './testing/test-agent.ts';
import { eventually, refused } from './testing/test-controller.ts';

const TIMEOUT = { timeoutMs: 30_000 };
const mayMount = spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0;
const skipped = mayMount ? '' : ' [skipped: needs to mount a tmpfs]';

test.skipIf(!mayMount)(
  `with a full disk writes are refused, all else goes on, and space heals it${skipped}`,
  async () => {
    const directory = mkdtempSync(join(tmpdir(), 'mcfleet-full-'));
    const program = join(import.meta.dirname, 'main.ts');
    const script =
      'mount -t tmpfs -o size=3m none "$1" && exec "$2" "$3" --data-dir "$1/data" --admin-listen 127.0.0.1:0 --agent-listen 127.0.0.1:0';
    const child = spawn('unshare', ['-m', 'sh', '-c', script, 'sh', directory, process.execPath, program], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let log = '';
    child.stderr.on('data', (chunk: Buffer) => {
      log += chunk.toString();
    });
    // The directory as the controller sees it: with the small file system on it. `exec` keeps the pid.
    const inside = join(`/proc/${child.pid}/root`, directory);
    try {
      await eventually(
        () => log,
        (text) => text.includes('"msg":"serving"'),
      );
      const told = JSON.parse(readFileSync(join(inside, 'data', 'controller.json'), 'utf8'));
      const client = createClient(FleetServiceClient, parseListenAddress(told.admin));
      const write = (name: string, bytes = 0): Promise<Host> => {
        const host = Host.fromPartial({ name, annotations: { note: 'x'.repeat(bytes) } });
        const request = { host, updateMask: undefined, allowMissing: true, validateOnly: false };
        return callUnary(client, 'updateHost', request, TIMEOUT);
      };
      const read = () => callUnary(client, 'listHosts', { pageSize: 1000, pageToken: '', labelSelector: {} }, TIMEOUT);
      writeFileSync(join(inside, 'ballast'), Buffer.alloc(512 * 1024));
      let written = 0;
      // Large writes first; where none of them fits any more, small ones still do.
      for (const bytes of [50_000, 0]) {
        let refusal: unknown;
        while (refusal === undefined) {
          const name = `edge-${written}`;
          refusal = await write(name, bytes).then(
            () => undefined,
            (thrown: unknown) => thrown,
          );
          if (refusal === undefined) written += 1;
        }
        expect(refusal).toMatchObject({ code: 8, reason: 'STORE_FULL', retryDelayMs: 5000 });
      }
      expect((await read()).totalSize).toBe(written);
      const known = new TestAgent({
        host: 'edge-0',
        controller: parseListenAddress(told.agent),
        labels: { role: 'edge' },
      });
      expect((await known.welcomed).protocol).toBe(1);
      const unknown = new TestAgent({ host: 'stranger', controller: parseListenAddress(told.agent) });
      expect(await unknown.ended).toMatchObject({ reason: 'STORE_FULL' });
      expect(await refused(write('edge-x'))).toMatchObject({ reason: 'STORE_FULL' });
      rmSync(join(inside, 'ballast'));
      await write('edge-x');
      expect((await read()).totalSize).toBe(written + 1);
      known.drop();
      client.close();
    } finally {
      const closed = once(child, 'close');
      child.kill('SIGTERM');
      expect((await closed)[0]).toBe(0);
      rmSync(directory, { recursive: true });
    }
  },
);
