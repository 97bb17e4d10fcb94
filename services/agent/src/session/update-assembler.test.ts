import { ConfigUpdate } from '@mcfleet/proto/mcfleet/v1/agent_service';
import { describe, expect, it } from 'vitest';
import { UpdateAssembler } from './update-assembler.ts';

const chunk = (fields: Partial<ConfigUpdate>): ConfigUpdate =>
  ConfigUpdate.fromPartial({ nonce: 1n, term: 1n, revision: 5n, ...fields });
const reason = (text: string) => expect.objectContaining({ reason: text });

describe('UpdateAssembler', () => {
  it('refuses chunks out of order or of different updates, once, and passes the rest of that update over', () => {
    const assembler = new UpdateAssembler();
    expect(assembler.add(chunk({ chunk: 0 }))).toBeUndefined();
    expect(() => assembler.add(chunk({ chunk: 2 }))).toThrow(reason('UPDATE_CHUNK_OUT_OF_ORDER'));
    expect(assembler.add(chunk({ chunk: 3, lastChunk: true }))).toBeUndefined();
    expect(assembler.add(chunk({ nonce: 2n, lastChunk: true }))?.nonce).toBe(2n);
    expect(assembler.add(chunk({ nonce: 3n }))).toBeUndefined();
    expect(() => assembler.add(chunk({ nonce: 3n, chunk: 1, revision: 6n }))).toThrow(reason('UPDATE_CHUNK_MISMATCH'));
    expect(() => assembler.add(chunk({ nonce: 4n, chunk: 1 }))).toThrow(reason('UPDATE_CHUNK_OUT_OF_ORDER'));
  });

  it('drops an unfinished update when another begins', () => {
    const assembler = new UpdateAssembler();
    assembler.add(chunk({ removedUids: ['old'] }));
    expect(assembler.add(chunk({ nonce: 2n, removedUids: ['new'], lastChunk: true }))?.removedUids).toEqual(['new']);
  });

  it('has a bound', () => {
    const assembler = new UpdateAssembler(200);
    const upserts = [{ uid: 'x'.repeat(90), name: '', generation: 1n, contentHash: Buffer.alloc(0), relay: undefined }];
    expect(assembler.add(chunk({ upserts }))).toBeUndefined();
    expect(() => assembler.add(chunk({ chunk: 1, upserts }))).toThrow(reason('UPDATE_TOO_LARGE'));
  });
});
