import { readForwarderArguments } from '@mcfleet/native';
import { StatusResponse } from '@mcfleet/proto/mcfleet/v1/dataplane_service';
import { expect, it } from 'vitest';
import { otherOptions } from './options-in-effect.ts';

const running = (cpus: number[], workers = 2, ringBytes = 100n * 150n * 2048n) =>
  StatusResponse.fromPartial({ pid: 77, options: { ringBytes, workers, cpus, transmit: 'auto' } });
const wanted = (values: Parameters<typeof readForwarderArguments>[0]) => readForwarderArguments(values).options;

it('says nothing while the options are those that the agent has, or are not told', () => {
  expect(otherOptions(wanted({ 'ring-ms': '100', workers: '2', cpus: '0-1' }), running([0, 1]))).toBeUndefined();
  expect(otherOptions(wanted({ workers: '9' }), { pid: 77, options: undefined })).toBeUndefined();
});

it('names what differs, on both sides, and the process', () => {
  const options = wanted({ 'ring-bytes': '1048576', workers: '2' });
  expect(otherOptions(options, running([1, 0]))).toMatchObject({
    type: 'OtherDataplaneOptions',
    message: expect.stringMatching(
      /^the data plane \(process 77\) was started with --ring-ms 100, --cpus 1,0, and the agent has --ring-bytes 1048576, no --cpus for it, .*end process 77/,
    ),
  });
  const exclusive = otherOptions(wanted({ 'ring-ms': '100', workers: '2', 'exclusive-input': true }), running([]));
  expect(exclusive?.message).toMatch(/with no --exclusive-input, and the agent has --exclusive-input for it/);
  expect(otherOptions(wanted({ 'ring-ms': '100' }), running([]))?.message).toContain('with --workers 2, and');
  const table = { ...wanted({ 'ring-ms': '100', workers: '2' }), mrouteTable: 100 };
  expect(otherOptions(table, running([]))?.message).toContain(
    'with no --mroute-table, and the agent has --mroute-table 100',
  );
});
