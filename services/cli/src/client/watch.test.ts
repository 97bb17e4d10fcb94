import { Readable } from 'node:stream';
import { type ClientReadableStream, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { ChangeType } from '@mcfleet/proto/mcfleet/v1/common';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Connection } from './connection.ts';
import { type WatchMessage, type WatchSource, watch } from './watch.ts';

interface Thing {
  readonly name: string;
  readonly value: number;
}
type Message = WatchMessage<Thing>;
/** What one connection yields: messages, and then an error, or the end. */
interface Script {
  readonly messages: readonly Message[];
  readonly error?: status;
}

const added = (name: string, value: number): Message['events'][number] => event(ChangeType.ADDED, { name, value });
const modified = (name: string, value: number): Message['events'][number] =>
  event(ChangeType.MODIFIED, { name, value });
const synced = event(ChangeType.SYNCED, undefined);

function event(type: ChangeType, object: Thing | undefined): Message['events'][number] {
  return { type, object, suppressed: 0 };
}

function message(resumeToken: string, ...events: Message['events'][number][]): Message {
  return { events, resumeToken };
}

/** A stream as a broken connection leaves it. */
function stream({ messages, error }: Script): ClientReadableStream<Message> {
  async function* play(): AsyncGenerator<Message> {
    yield* messages;
    if (error !== undefined) {
      throw Object.assign(new Error('scripted'), {
        code: error,
        details: 'scripted',
        metadata: new Metadata(),
      }) as ServiceError;
    }
  }
  return Object.assign(Readable.from(play()), { cancel: () => undefined }) as unknown as ClientReadableStream<Message>;
}

let connection: Connection;
beforeEach(() => {
  connection = new Connection({ address: { kind: 'tcp', host: '127.0.0.1', port: 1 }, timeoutMs: 1000 });
});
afterEach(() => {
  connection.close();
});

/** Runs a watch over scripted connections until they are used up; returns what it told and the tokens it opened with. */
async function play(scripts: readonly Script[]): Promise<{ told: string[]; tokens: string[]; breaks: number }> {
  const abort = new AbortController();
  const told: string[] = [];
  const tokens: string[] = [];
  let breaks = 0;
  const source: WatchSource<Thing, Message> = {
    open: (token) => {
      const script = scripts[tokens.length];
      tokens.push(token);
      if (script === undefined) {
        abort.abort();
        return stream({ messages: [] });
      }
      return stream(script);
    },
    read: (one) => one,
    keyOf: ({ name }) => name,
    encode: ({ value }) => new Uint8Array([value]),
  };
  for await (const item of watch(connection, source, abort.signal, () => breaks++)) {
    told.push(
      item.kind === 'synced' ? 'synced' : `${item.change.type} ${item.change.object.name}=${item.change.object.value}`,
    );
  }
  return { told, tokens, breaks };
}

const { ADDED, MODIFIED, DELETED } = ChangeType;

describe('watch', () => {
  it('goes on after the last message when the connection breaks', async () => {
    const { told, tokens, breaks } = await play([
      { messages: [message('t1', added('a', 1), synced)], error: status.UNAVAILABLE },
      { messages: [message('t2', modified('a', 2))], error: status.INTERNAL },
    ]);
    expect(told).toEqual([`${ADDED} a=1`, 'synced', `${MODIFIED} a=2`]);
    expect(tokens).toEqual(['', 't1', 't2']);
    expect(breaks).toBe(2);
  });

  it('without a token reads everything anew and tells only what differs', async () => {
    const { told } = await play([
      { messages: [message('', added('same', 1), added('changes', 1), added('goes', 1), synced)] },
      { messages: [message('', added('same', 1), added('changes', 2), added('comes', 1), synced)] },
    ]);
    expect(told.slice(4)).toEqual([`${MODIFIED} changes=2`, `${ADDED} comes=1`, `${DELETED} goes=1`]);
  });

  it('does not repeat what a controller that was started anew tells again', async () => {
    const { told } = await play([
      { messages: [message('t1', added('same', 1), added('changes', 1), synced)] },
      { messages: [message('t2', modified('same', 1), modified('changes', 2))] },
    ]);
    expect(told.slice(3)).toEqual([`${MODIFIED} changes=2`]);
  });

  it('begins anew when its token is too old', async () => {
    const { told, tokens, breaks } = await play([
      { messages: [message('old', added('a', 1), synced)] },
      { messages: [], error: status.OUT_OF_RANGE },
      { messages: [message('new', added('a', 2), synced)] },
    ]);
    expect(told).toEqual([`${ADDED} a=1`, 'synced', `${MODIFIED} a=2`]);
    expect(tokens).toEqual(['', 'old', '', 'new']);
    expect(breaks).toBe(2);
  });

  it.each([
    ['when the first attempt fails', [{ messages: [], error: status.UNAVAILABLE }], status.UNAVAILABLE],
    [
      'when the controller refuses it',
      [{ messages: [message('t', synced)] }, { messages: [], error: status.PERMISSION_DENIED }],
      status.PERMISSION_DENIED,
    ],
  ])('fails %s', async (_when, scripts, code) => {
    await expect(play(scripts)).rejects.toMatchObject({ code });
  });
});
