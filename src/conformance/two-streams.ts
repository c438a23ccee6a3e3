/** What cases about streams begin with. */
import type { Device, Stream, Timeline } from '../streaming-api/index.js';
import type { Fixture } from './fixture.js';

export const FIRST_PE = { columns: 1, rows: 1 } as const;
export const SECOND_PE = { column: 1, columns: 1, rows: 1 } as const;

/** Long enough for anything that could run by mistake to have run. */
const A_WHILE_MS = 15;

export const aWhile = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, A_WHILE_MS));

export interface TwoStreams {
  readonly device: Device;
  readonly first: Stream;
  readonly second: Stream;
}

export async function twoStreams(fixture: Fixture): Promise<TwoStreams> {
  const device = await fixture.device();
  return { device, first: device.defaultStream, second: await device.createStream() };
}

export async function twoStreamsAndTimeline(
  fixture: Fixture,
  initial?: bigint,
): Promise<TwoStreams & { readonly timeline: Timeline }> {
  const parts = await twoStreams(fixture);
  return { ...parts, timeline: await parts.device.createTimeline(initial) };
}

/** Fails the stream on the device itself. */
export function failOn(device: Device, stream: Stream): Promise<unknown> {
  return stream.launch(device.kernel('RETURN_VALUE'), { grid: FIRST_PE }, [99]);
}
