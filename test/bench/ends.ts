import type { OutputEnd, RelayPlan, RunningRelay } from './engine.ts';
import type { End, Stream } from './prober-protocol.ts';

/** Where all copies of all streams arrive, as an engine says of one of them. */
export function endsOf(
  { streams }: Pick<RelayPlan, 'streams'>,
  endOf: (copy: number, output: Stream, input: Stream) => End,
): readonly OutputEnd[] {
  return streams.flatMap(({ input, outputs }, stream) =>
    outputs.map((output, copy) => ({ ...endOf(copy, output, input), stream })),
  );
}

/** Where the sink has to listen to hear one of the copies: the last one of the first stream. */
export function oneEnd({ ends }: Pick<RunningRelay, 'ends'>): OutputEnd {
  const end = ends.findLast(({ stream }) => stream === 0);
  if (end === undefined) throw new Error('a plan has at least one stream with one output');
  return end;
}
