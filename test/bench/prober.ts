/**
 * The two ends of a measurement, in their namespaces: `node prober.ts SOCKET` does what it is asked over a unix socket, one line of JSON
 * per request. A process that stays, because starting `mcfleet probe` for every attempt would take longer than the attempt.
 */
import { readFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { type ProbeSender, type ProbeSendOptions, type ProbeSendReport, sendProbe } from '@mcfleet/native';
import { parseInterfaceCounters } from '../lab/counters.ts';
import type { Frames } from '../lab/datagram-count.ts';
import { indexOfInterface } from './interface-index.ts';
import type {
  End,
  Heard,
  ProberAnswer,
  ProberAnswers,
  ProberRequest,
  SentStream,
  SentStreams,
  Stream,
} from './prober-protocol.ts';
import { Receiver, type Taking } from './prober-receiver.ts';

const TTL = 16;

let listening: readonly Receiver[] = [];

type Sending = Pick<ProbeSendOptions, 'ifindex' | 'rate' | 'count' | 'size' | 'segments' | 'digest' | 'fillOnce'>;

function startSender({ group, port }: Stream, sending: Sending): ProbeSender {
  return sendProbe({ group, port, ...sending, source: null, sourcePort: null, ttl: TTL, flows: 1, raw: false });
}

const sentBy = ({ sent, payloadSha256 }: ProbeSendReport): SentStream => ({ sent: Number(sent), payloadSha256 });

async function send(request: Extract<ProberRequest, { do: 'send' }>): Promise<SentStreams> {
  const { streams, background, fillOnce = false, digest = false } = request;
  const all = { ifindex: indexOfInterface(request.interface), size: request.size, fillOnce };
  const beside =
    background &&
    startSender(background.stream, {
      ...all,
      rate: background.rate,
      count: null,
      segments: background.segments,
      digest: false,
    });
  const each = {
    ...all,
    rate: request.rate / streams.length,
    count: Math.max(1, Math.round(request.count / streams.length)),
    segments: request.segments,
  };
  const jobs = streams.map((stream, index) => startSender(stream, { ...each, digest: digest && index === 0 }));
  const reports = await Promise.all(jobs.map((job) => job.done));
  beside?.stop();
  const [first] = reports;
  return {
    sent: reports.reduce((sum, report) => sum + Number(report.sent), 0),
    seconds: Math.max(...reports.map((report) => Number(report.durationNs) / 1e9)),
    background: Number((await beside?.done)?.sent ?? 0),
    first: first === undefined ? { sent: 0, payloadSha256: null } : sentBy(first),
  };
}

async function sendEach(request: Extract<ProberRequest, { do: 'send-each' }>): Promise<SentStream[]> {
  const { streams, rate, size, segments } = request;
  const all = { ifindex: indexOfInterface(request.interface), rate, size, segments, digest: true };
  const jobs = streams.map((stream) => startSender(stream, { ...all, count: stream.count }));
  const reports = await Promise.all(jobs.map((job) => job.done));
  return reports.map(sentBy);
}

function listen(ends: readonly End[], taking: Taking): null {
  if (listening.length > 0) throw new Error('listens already');
  const receivers: Receiver[] = [];
  try {
    for (const end of ends) receivers.push(new Receiver(end, taking));
  } catch (error) {
    for (const receiver of receivers) receiver.stop();
    throw error;
  }
  listening = receivers;
  return null;
}

/** @param after packets of each receiver; 0: at once. */
async function stopListening(after: readonly number[]): Promise<Heard[]> {
  const receivers = listening;
  if (receivers.length !== after.length) throw new Error(`listens at ${receivers.length} ends, not ${after.length}`);
  listening = [];
  return await Promise.all(receivers.map((receiver, index) => receiver.finish(after[index] ?? 0)));
}

async function stopListeningAtOne(after: number): Promise<Heard> {
  const [heard] = await stopListening([after]);
  if (heard === undefined) throw new Error('one receiver hears one end');
  return heard;
}

function count(interfaces: readonly string[]): Frames[] {
  const text = readFileSync('/proc/net/dev', 'utf8');
  return interfaces.map((name) => {
    const counters = parseInterfaceCounters(text, name);
    if (counters === undefined) throw new Error(`no interface ${name}`);
    return { frames: counters.rxPackets, bytes: counters.rxBytes };
  });
}

async function carryOut(request: ProberRequest): Promise<ProberAnswers[keyof ProberAnswers]> {
  switch (request.do) {
    case 'send':
      return await send(request);
    case 'send-each':
      return await sendEach(request);
    case 'listen': {
      const { end, raw, digest = false, whole = false } = request;
      return listen([end], { raw, digest, whole });
    }
    case 'listen-each':
      return listen(request.ends, { raw: false, digest: true, whole: false });
    case 'stop-listening':
      return await stopListeningAtOne(request.after ?? 0);
    case 'stop-listening-each':
      return await stopListening(request.after);
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
