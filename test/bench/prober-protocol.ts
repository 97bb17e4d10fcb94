import type { Frames } from '../lab/datagram-count.ts';

/** Where one stream goes. */
export interface Stream {
  readonly group: string;
  readonly port: number;
}

/** Where a stream arrives. */
export interface End extends Stream {
  readonly interface: string;
}

/** What a prober is asked to do; one at a time. */
export type ProberRequest =
  /** Send, over all streams together, `count` packets at `rate`; they share both equally. */
  | {
      readonly do: 'send';
      readonly interface: string;
      readonly streams: readonly Stream[];
      readonly rate: number;
      readonly count: number;
      readonly size: number;
      readonly segments: number;
      /** Default false: payloads are to be looked at. True: they are counted only, and cost the sender less. */
      readonly fillOnce?: boolean;
      /** Default false. Whether to tell the fingerprint of what the first stream sent; not with `fillOnce`. */
      readonly digest?: boolean;
      /** Sent beside, until `streams` are done; not in the answer's `sent` and `seconds`. */
      readonly background?: { readonly stream: Stream; readonly rate: number; readonly segments: number };
    }
  /** Begin to receive. */
  | {
      readonly do: 'listen';
      readonly end: End;
      readonly raw: boolean;
      /** Default false. Whether to tell the fingerprint of what came. */
      readonly digest?: boolean;
      /** Default false. Whether super-frames are to be taken whole (UDP_GRO). */
      readonly whole?: boolean;
    }
  /** End to receive: at once, or `after` so many packets, or when no more come. */
  | { readonly do: 'stop-listening'; readonly after?: number }
  /** Send streams beside one another, each with a number of packets and a fingerprint of its own; `rate` is that of each. */
  | {
      readonly do: 'send-each';
      readonly interface: string;
      readonly streams: readonly (Stream & { readonly count: number })[];
      readonly rate: number;
      readonly size: number;
      readonly segments: number;
    }
  /** Begin to receive at several ends, by a UDP receiver for each; with fingerprints. */
  | { readonly do: 'listen-each'; readonly ends: readonly End[] }
  /** End that: each after so many packets, in the order of the ends, or when no more come. */
  | { readonly do: 'stop-listening-each'; readonly after: readonly number[] }
  /** What interfaces have received so far, each by itself. */
  | { readonly do: 'count'; readonly interfaces: readonly string[] };

export interface SentStreams {
  readonly sent: number;
  /** Of the slowest stream. */
  readonly seconds: number;
  /** Packets of the background. */
  readonly background: number;
  /** Of the first stream alone. */
  readonly first: SentStream;
}

export interface SentStream {
  readonly sent: number;
  /** Fingerprint of what was sent; `null` if it was not asked for. */
  readonly payloadSha256: string | null;
}

export interface Heard {
  readonly received: number;
  readonly lost: number;
  readonly duplicates: number;
  readonly reordered: number;
  readonly corrupt: number;
  /** Lost by the receiver itself. */
  readonly receiverDrops: number;
  /** Senders, each of one stream, whose packets came. */
  readonly senders: number;
  /** Fingerprint of what came, each packet once; `null` if it was not asked for. See native/src/probe/digest.h. */
  readonly payloadSha256: string | null;
  /** `null` if nothing came. */
  readonly latencyUs: {
    readonly p50: number;
    readonly p99: number;
    readonly p999: number;
    readonly max: number;
  } | null;
}

/** The answer to each kind of request. */
export interface ProberAnswers {
  readonly send: SentStreams;
  readonly listen: null;
  readonly 'stop-listening': Heard;
  readonly 'send-each': readonly SentStream[];
  readonly 'listen-each': null;
  readonly 'stop-listening-each': readonly Heard[];
  readonly count: readonly Frames[];
}

/** One line of JSON on the socket. */
export type ProberAnswer = { readonly answer: ProberAnswers[keyof ProberAnswers] } | { readonly error: string };
