import { OutputCounters, TransmitReason, TransmitWay } from '@mcfleet/proto/mcfleet/v1/relay';
import { expect, it } from 'vitest';
import { transmitText } from './transmit-view.ts';

const text = (transmit: TransmitWay, transmitReason: TransmitReason): string =>
  transmitText(OutputCounters.fromPartial({ transmit, transmitReason }));

it('tells way and reason, and what it does not know of a newer host it leaves out', () => {
  expect(text(TransmitWay.GSO, TransmitReason.DEVICE_SEGMENTS)).toBe('gso (cut by the device)');
  expect(text(TransmitWay.SENDMMSG, TransmitReason.ROUTE)).toBe('sendmmsg (for its route)');
  expect(text(TransmitWay.IO_URING, 99 as TransmitReason)).toBe('io_uring');
  expect(text(99 as TransmitWay, TransmitReason.ROUTE)).toBe('-');
  expect(text(TransmitWay.UNSPECIFIED, TransmitReason.UNSPECIFIED)).toBe('-');
});
