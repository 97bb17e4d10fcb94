// What the measurements of the packet path have in common: their options, and the network that these ask for.
import { requireLabAccess } from '../../test/lab/access.ts';
import { TRANSMIT_REQUESTS, type TransmitRequest } from '../index.ts';
import { ForwarderTopology } from './forwarder-topology.ts';

/** For parseArgs of node:util. */
export const PATH_OPTIONS = {
  size: { type: 'string', default: '1316' },
  flows: { type: 'string', default: '1' },
  outputs: { type: 'string', default: '1' },
  super: { type: 'boolean', default: false },
  'no-uso': { type: 'boolean', default: false },
  transmit: { type: 'string', default: 'auto' },
} as const;

export interface PathValues {
  readonly super: boolean;
  readonly 'no-uso': boolean;
  readonly transmit: string;
}

export interface MeasuredPath {
  readonly lab: ForwarderTopology;
  readonly transmit: TransmitRequest;
}

/** A network whose devices do what the options say. The caller deletes it. */
export async function createPath(values: PathValues): Promise<MeasuredPath> {
  const transmit = TRANSMIT_REQUESTS.find((name) => name === values.transmit);
  if (transmit === undefined) throw new Error(`--transmit must be one of ${TRANSMIT_REQUESTS.join(', ')}`);
  await requireLabAccess();
  const lab = await ForwarderTopology.create();
  try {
    await lab.offloads('out1', true);
    await lab.segmentation('relay', 'out1', !values['no-uso']);
    await lab.segmentation('source', 'src', values.super);
    return { lab, transmit };
  } catch (error) {
    await lab.delete();
    throw error;
  }
}
