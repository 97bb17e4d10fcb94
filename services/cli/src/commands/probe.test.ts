import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Lab } from '../../../../test/lab/lab.ts';
import { describeWithLab, labObstacle } from '../../../../test/lab/when-possible.ts';
import { run } from '../program.ts';

async function mcfleet(...argv: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  let stdout = '';
  let stderr = '';
  const code = await run(argv, {
    env: {},
    stdoutIsTerminal: false,
    writeStdout: (text) => {
      stdout += text;
    },
    writeStderr: (text) => {
      stderr += text;
    },
    now: Date.now,
  });
  return { code, stdout, stderr };
}

describe('mcfleet probe', () => {
  const common = ['--interface', 'lo', '--group', '239.1.1.1', '--port', '5001'];

  it.each([
    {
      argv: ['send', '--group', '239.1.1.1', '--port', '5001'],
      says: "required option '--interface <if>' not specified",
    },
    {
      argv: ['send', '--interface', 'lo', '--port', '5001'],
      says: "required option '--group <address>' not specified",
    },
    {
      argv: ['send', '--interface', 'lo', '--group', '239.1.1.1'],
      says: "required option '--port <port>' not specified",
    },
    { argv: ['recv', ...common, '--port', '0'], says: "'--port <port>' argument '0' is invalid" },
    { argv: ['recv', ...common, '--port', '70000'], says: "'--port <port>' argument '70000' is invalid" },
    { argv: ['send', ...common, '--group', 'camera'], says: 'Give an IP address' },
    { argv: ['send', ...common, '--group', '::'], says: 'Give a group (ff00::/8)' },
    { argv: ['recv', ...common, '--group', 'ff02::1%lo'], says: '--interface says it' },
    { argv: ['send', ...common, '--group', 'ff3e::1', '--raw'], says: '--raw works with IPv4 only' },
    { argv: ['recv', ...common, '--group', 'ff3e::1', '--raw'], says: '--raw works with IPv4 only' },
    { argv: ['send', ...common, '--source', '2001:db8::7'], says: 'give both as IPv4 or both as IPv6' },
    { argv: ['send', ...common, '--group', 'ff3e::1', '--source', 'ff3e::2'], says: 'Give a unicast address' },
    { argv: ['send', ...common, '--group', '0.0.0.0'], says: '224.0.0.0 to 239.255.255.255' },
    { argv: ['send', ...common, '--group', '255.255.255.255'], says: '224.0.0.0 to 239.255.255.255' },
    { argv: ['send', ...common, '--source', '239.1.1.2'], says: 'Give a unicast address' },
    { argv: ['send', ...common, '--rate', '0'], says: "'--rate <pps>' argument '0' is invalid" },
    { argv: ['send', ...common, '--rate', '1e3'], says: "'--rate <pps>' argument '1e3' is invalid" },
    { argv: ['send', ...common, '--count', '0'], says: "'--count <packets>' argument '0' is invalid" },
    { argv: ['send', ...common, '--count', '1.5'], says: 'a whole number from 1 to' },
    { argv: ['send', ...common, '--size', '47'], says: 'from 48 to 65507' },
    { argv: ['send', ...common, '--size', '65508'], says: 'from 48 to 65507' },
    { argv: ['send', ...common, '--ttl', '256'], says: 'from 1 to 255' },
    { argv: ['send', ...common, '--flows', '1025'], says: 'from 1 to 1024' },
    { argv: ['send', ...common, '--source-port', '65530', '--flows', '10'], says: 'goes up to port 65539' },
    { argv: ['recv', ...common, '--duration', 'soon'], says: "'--duration <seconds>' argument 'soon' is invalid" },
    { argv: ['recv', ...common, '--idle', '0'], says: "'--idle <seconds>' argument '0' is invalid" },
    { argv: ['recv', ...common, '--timeout', 'soon'], says: '--timeout "soon" is not a duration' },
    { argv: ['recv', ...common, '-o', 'yaml'], says: 'Allowed choices are table, json' },
    { argv: ['send', ...common, '--interface', 'nowhere0'], says: '--interface "nowhere0" is not here; there are: lo' },
    { argv: ['recv', ...common, '--interface', 'l'], says: '--interface "l" is not here' },
  ])('refuses $argv', async ({ argv, says }) => {
    const { code, stdout, stderr } = await mcfleet('probe', ...argv);
    expect(stderr).toContain(says);
    expect(stdout).toBe('');
    expect(code).toBe(2);
  });

  it.each([['send'], ['recv']])('%s has help with examples', async (verb) => {
    const { code, stdout } = await mcfleet('probe', verb, '--help');
    expect(code).toBe(0);
    expect(stdout).toContain(`mcfleet probe ${verb} --interface`);
  });
});

describeWithLab('mcfleet probe on a network', () => {
  const launcher = fileURLToPath(new URL('../../bin/mcfleet', import.meta.url));
  let lab: Lab;

  beforeAll(async () => {
    if (labObstacle() !== undefined) return;
    lab = await Lab.create({
      namespaces: { left: {}, right: {} },
      links: [
        {
          a: { namespace: 'left', interface: 'eth0', addresses: ['192.0.2.1/24'] },
          b: { namespace: 'right', interface: 'eth0', addresses: ['192.0.2.2/24'] },
        },
      ],
    });
  });

  afterAll(async () => {
    await lab?.[Symbol.asyncDispose]();
  });

  const to = ['--interface', 'eth0', '--group', '239.1.1.1', '--port', '5001'];
  const probe = (...argv: string[]): string[] => [launcher, 'probe', ...argv];

  async function listen(...argv: string[]): Promise<ReturnType<Lab['start']>> {
    const receiver = lab.start('right', probe('recv', ...to, ...argv));
    await receiver.waitForOutput(/^listening on eth0 for 239\.1\.1\.1:5001$/m);
    return receiver;
  }

  it('counts what was sent, as one JSON object', async () => {
    const receiver = await listen('--count', '3000', '--payload-sha256', '-o', 'json');
    const sent = await lab.run(
      'left',
      probe('send', ...to, '--count', '3000', '--rate', '10000', '--size', '1316', '--payload-sha256', '-o', 'json'),
    );
    const { code, stdout } = await receiver.exited;
    expect(sent.code).toBe(0);
    const sender = JSON.parse(sent.stdout);
    expect(sender).toMatchObject({ sent: 3_000, bytes: 3_948_000, retries: 0, mode: 'udp' });
    // How much slower it was than asked for is up to the machine.
    expect(sender.rate).toBeLessThanOrEqual(10_010);
    expect((sender.rate * sender.duration_seconds) / 3_000).toBeCloseTo(1, 2);
    const received = JSON.parse(stdout);
    expect(received).toMatchObject({
      received: 3_000,
      lost: 0,
      duplicates: 0,
      reordered: 0,
      corrupt: 0,
      bytes: 3_948_000,
      first_sequence: 0,
      last_sequence: 2_999,
      receiver_drops: 0,
      payload_sha256: sender.payload_sha256,
      flows: [{ flow: 0, source: '192.0.2.1', received: 3_000 }],
    });
    expect(received.latency_us.p50).toBeGreaterThan(0);
    expect(received.latency_us.max).toBeGreaterThanOrEqual(received.latency_us.p99);
    expect(code).toBe(0);
  });

  it('speaks IPv6', async () => {
    await lab.ip('left', 'address add 2001:db8::1/64 dev eth0 nodad');
    const six = ['--interface', 'eth0', '--group', 'ff15::1', '--port', '5001'];
    const receiver = lab.start('right', probe('recv', ...six, '--count', '500', '-o', 'json'));
    await receiver.waitForOutput(/^listening on eth0 for \[ff15::1\]:5001$/m);
    const sent = await lab.run('left', probe('send', ...six, '--count', '500', '-o', 'json'));
    expect(sent.stderr).toContain('sending on eth0 to [ff15::1]:5001');
    expect(JSON.parse(sent.stdout)).toMatchObject({ sent: 500, mode: 'udp' });
    const { code, stdout } = await receiver.exited;
    expect(JSON.parse(stdout)).toMatchObject({ received: 500, lost: 0, flows: [{ source: '2001:db8::1' }] });
    expect(code).toBe(0);
  });

  it('exits with 1 and says what is missing', async () => {
    const receiver = await listen('--count', '120', '--idle', '3');
    const sent = await lab.run('left', probe('send', ...to, '--count', '100', '--source', '192.0.2.1'));
    expect(sent).toMatchObject({
      code: 0,
      stderr: 'sending on eth0 to 239.1.1.1:5001, 1000 per second, 100 packets\n',
    });
    expect(sent.stdout).toMatch(/^sent +100 packets, 131,600 bytes of payload$/m);
    const { code, stdout, stderr } = await receiver.exited;
    expect(stdout).toMatch(/^received +100 packets/m);
    expect(stdout).toMatch(/^lost +20$/m);
    expect(stderr).toContain('error: 20 lost, 0 duplicates, 0 corrupt');
    expect(code).toBe(1);
  });

  it('reports when interrupted', async () => {
    const receiver = await listen('-o', 'json');
    const sender = lab.start('left', probe('send', ...to, '--source', '10.99.99.99', '-o', 'json'));
    await sender.waitForOutput(/^sending on eth0/m);
    await new Promise((resolve) => setTimeout(resolve, 300));
    sender.signal('SIGINT');
    const sent = await sender.exited;
    expect(sent.code).toBe(0);
    expect(JSON.parse(sent.stdout)).toMatchObject({ mode: 'packet' });
    receiver.signal('SIGINT');
    const { code, stdout, stderr } = await receiver.exited;
    // Strict rp_filter: the receiver's kernel has no route to 10.99.99.99.
    expect(JSON.parse(stdout)).toMatchObject({ received: 0, latency_us: { p50: null }, first_sequence: null });
    expect(stderr).toContain('error: no packet came to 239.1.1.1:5001 on eth0');
    expect(code).toBe(1);
  });

  it('ends with --timeout when not even a first packet comes', async () => {
    expect(await lab.run('right', probe('recv', ...to, '--timeout', '500ms'))).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('no packet came to 239.1.1.1:5001 on eth0'),
    });
  });

  it.each([
    { argv: ['send', ...to, '--raw'], says: 'raw packets need the capability CAP_NET_RAW' },
    { argv: ['recv', ...to, '--raw'], says: 'raw packets need the capability CAP_NET_RAW' },
  ])('$argv without CAP_NET_RAW says what to do', async ({ argv, says }) => {
    const { code, stderr } = await lab.run('left', ['setpriv', '--bounding-set', '-net_raw', ...probe(...argv)]);
    expect(stderr).toContain(says);
    expect(code).toBe(1);
  });
});
