// What a forwarder does when the kernel has no room for its filters: net.core.optmem_max, of each network namespace since Linux 6.8.
import { afterEach, beforeEach, expect, it, type TestContext } from 'vitest';
import { describeWithLab } from '../../test/lab/when-possible.ts';
import type { ForwarderProcess, RelayDraft } from './forwarder-process.ts';
import { eventually, ForwarderTopology, simpleRelay } from './forwarder-topology.ts';
import { makeFrame, readFrame } from './ipv4-frame.ts';

const OPTMEM = '/proc/sys/net/core/optmem_max';

describeWithLab('the kernel filter', () => {
  let lab: ForwarderTopology;
  let forwarder: ForwarderProcess;
  beforeEach(async () => {
    lab = await ForwarderTopology.create();
    forwarder = await lab.forwarder({ ringBytes: 16 << 20 });
  });
  afterEach(() => lab?.delete());

  const status = async (): Promise<unknown> =>
    ((await forwarder.call({ call: 'status' })) as { inputs: unknown }).inputs;
  const room = (bytes: number): Promise<string> => lab.read('relay', 'sh', '-c', `echo ${bytes} >${OPTMEM}`);
  /** Skips where this is one value for the whole machine. */
  async function needOwnLimit(context: TestContext): Promise<void> {
    const seen = await lab.read('relay', 'sh', '-c', `cat ${OPTMEM} || true`);
    if (seen === '') context.skip('net.core.optmem_max is not of each network namespace (Linux 6.8)');
  }
  /** Payloads of the datagrams that come out, when one is sent that a relay wants and several that none does. */
  async function relayed(payload: string): Promise<string[]> {
    const capture = await lab.capture(1);
    await lab
      .sender()
      .frames(
        makeFrame({ port: 5002, payload: Buffer.from('another port') }),
        makeFrame({ destination: '239.7.7.7', payload: Buffer.from('another group') }),
        makeFrame({ payload: Buffer.from(payload) }),
      );
    return (await capture.rest()).map((frame) => readFrame(frame).payload.toString());
  }

  it('that the kernel has no room for is done without, and told', async (context) => {
    await needOwnLimit(context);
    await room(300);
    expect(await forwarder.apply([simpleRelay])).toEqual([]);
    expect(await status()).toMatchObject([{ filter: 'none' }]);
    expect(await relayed('without')).toEqual(['without']);
    const [input] = (await forwarder.snapshot()).inputs;
    expect(input?.unmatched).toBeGreaterThanOrEqual(2);

    // Rings for super-frames are made without it as well.
    await lab.segmentation('source', 'src', true);
    await lab.sender().udp({ group: '239.1.1.1', port: 5001, sourcePort: 4711, segment: 1000, sizes: [20_000] });
    await eventually(async () => expect(await status()).toMatchObject([{ filter: 'none', longRingError: '' }]));
    await eventually(async () => {
      const [rings] = (await status()) as { longRingSlots: number }[];
      expect(rings?.longRingSlots).toBeGreaterThan(0);
    });

    // With room again, the next change has it, on all rings.
    await room(131_072);
    const another: RelayDraft = { ...simpleRelay, uid: 'another', group: '239.1.1.2' };
    expect(await forwarder.apply([another])).toEqual([]);
    expect(await status()).toMatchObject([{ filter: 'exact' }]);
    const before = (await forwarder.snapshot()).inputs[0]?.unmatched;
    expect(await relayed('with')).toEqual(['with']);
    expect((await forwarder.snapshot()).inputs[0]?.unmatched).toBe(before);
  });

  it('is coarse where the exact one has no room', async (context) => {
    await needOwnLimit(context);
    await room(3000);
    const drafts = Array.from({ length: 200 }, (_, i) => ({
      ...simpleRelay,
      uid: `relay ${i}`,
      group: `239.1.1.${i + 1}`,
    }));
    const [first, ...others] = drafts;
    expect(await forwarder.apply(first === undefined ? [] : [first])).toEqual([]);
    expect(await status()).toMatchObject([{ filter: 'exact' }]);
    expect(await forwarder.apply(others)).toMatchObject([]);
    expect(await status()).toMatchObject([{ filter: 'coarse' }]);
    expect(await relayed('coarse')).toEqual(['coarse']);
  });
});
