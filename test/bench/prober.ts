/**
 * The two ends of a measurement, in their namespaces: `node prober.ts SOCKET` does what it is asked over a unix socket, one line of JSON
 * per request. A process that stays, because starting `mcfleet probe` for every attempt would take longer than the attempt.
 */
import { readFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { listInterfaces, type ProbeReceiver, type ProbeSender, receiveProbe, sendProbe } from '@mcfleet/native';
import { parseInterfaceCounters } from '../lab/counters.ts';
import type { Frames } from '../lab/datagram-count.ts';
import type { Heard, ProberAnswer, ProberAnswers, ProberRequest, SentStreams, Stream } from './prober-protocol.ts';

const TTL = 16;
/** Nothing for so long: the receiver's socket is empty, and no more will come. */
const QUIET_MS = 150;
const POLL_MS = 5;
const LATE_MS = 20;

let listening: ProbeReceiver | undefined;

function indexOf(name: string): number {
  const found = listInterfaces().find((one) => one.name === name);
  if (found === undefined) throw new Error(`no interface ${name}`);
  return found.index;
}

async function send(request: Extract<ProberRequest, { do: 'send' }>): Promise<SentStreams> {
  const ifindex = indexOf(request.interface);
  const { streams, size, background, fillOnce = false, digest = false } = request;
  const start = (
    stream: Stream,
    rate: number,
    count: number | null,
    segments: number,
    digested: boolean,
  ): ProbeSender =>
    sendProbe({
      ifindex,
      ...stream,
      source: null,
      sourcePort: null,
      rate,
      count,
      size,
      ttl: TTL,
      flows: 1,
      segments,
      raw: false,
      digest: digested,
      fillOnce,
    });
  const beside = background && start(background.stream, background.rate, null, background.segments, false);
  const each = Math.max(1, Math.round(request.count / streams.length));
  const jobs = streams.map((stream, index) =>
    start(stream, request.rate / streams.length, each, request.segments, digest && index === 0),
  );
  const reports = await Promise.all(jobs.map((job) => job.done));
  beside?.stop();
  return {
    sent: reports.reduce((sum, report) => sum + Number(report.sent), 0),
    seconds: Math.max(...reports.map((report) => Number(report.durationNs) / 1e9)),
    background: Number((await beside?.done)?.sent ?? 0),
    first: { sent: Number(reports[0]?.sent ?? 0), payloadSha256: reports[0]?.payloadSha256 ?? null },
  };
}

function listen(request: Extract<ProberRequest, { do: 'listen' }>): null {
  if (listening !== undefined) throw new Error('listens already');
  listening = receiveProbe({
    ifindex: indexOf(request.interface),
    ...request.stream,
    raw: request.raw,
    digest: request.digest ?? false,
    whole: request.whole ?? false,
    count: null,
    durationMs: null,
    timeoutMs: null,
    idleMs: null,
    settleMs: 0,
  });
  return null;
}

/** Waits until it has read so many packets, and those that came twice, or finds no more. */
async function haveRead(receiver: ProbeReceiver, count: number): Promise<void> {
  let last = -1n;
  let complete = false;
  for (
    let since = performance.now();
    performance.now() - since < (complete ? LATE_MS : QUIET_MS);
    await sleep(POLL_MS)
  ) {
    const { received, duplicates, corrupt } = receiver.progress();
    const now = received + duplicates + corrupt;
    if (now !== last) since = performance.now();
    last = now;
    complete = received >= BigInt(count);
  }
}

async function stopListening(after: number): Promise<Heard> {
  const receiver = listening;
  if (receiver === undefined) throw new Error('does not listen');
  listening = undefined;
  if (after > 0) await haveRead(receiver, after);
  receiver.stop();
  const { latencyNs, payloadSha256, ...report } = await receiver.done;
  const us = (ns: bigint): number => Number(ns) / 1000;
  return {
    received: Number(report.received),
    lost: Number(report.lost),
    duplicates: Number(report.duplicates),
    reordered: Number(report.reordered),
    corrupt: Number(report.corrupt),
    receiverDrops: Number(report.receiverDrops),
    payloadSha256,
    latencyUs: latencyNs && {
      p50: us(latencyNs.p50),
      p99: us(latencyNs.p99),
      p999: us(latencyNs.p999),
      max: us(latencyNs.max),
    },
  };
}

function count(interfaces: readonly string[]): Frames {
  const text = readFileSync('/proc/net/dev', 'utf8');
  const total = { frames: 0, bytes: 0 };
  for (const name of interfaces) {
    const counters = parseInterfaceCounters(text, name);
    if (counters === undefined) throw new Error(`no interface ${name}`);
    total.frames += counters.rxPackets;
    total.bytes += counters.rxBytes;
  }
  return total;
}

async function carryOut(request: ProberRequest): Promise<ProberAnswers[keyof ProberAnswers]> {
  switch (request.do) {
    case 'send':
      return await send(request);
    case 'listen':
      return listen(request);
    case 'stop-listening':
      return await stopListening(request.after ?? 0);
    case 'count':
      return count(request.interfaces);
  }
}

async function serve(socket: Socket): Promise<void> {
  for await (const line of createInterface(socket)) {
    let answer: ProberAnswer;
    try {
      answer = { answer: await carryOut(JSON.parse(line) as ProberRequest) };
    } catch (error) {
      answer = { error: error instanceof Error ? error.message : String(error) };
    }
    socket.write(`${JSON.stringify(answer)}\n`);
  }
}

const path = process.argv[2];
if (path === undefined) throw new Error('usage: node prober.ts SOCKET');
const server = createServer((socket) => {
  serve(socket).catch((error: unknown) => {
    process.stderr.write(`${String(error)}\n`);
    process.exit(1);
  });
});
server.listen(path, () => process.stdout.write('ready\n'));
