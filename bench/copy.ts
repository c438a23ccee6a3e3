/** Copies between pinned host memory and the device, next to one memcpy of the same size on this host. */
import type { DeviceBuffer, HostBuffer, Stream } from '../src/streaming-api/index.js';
import { type BenchmarkContext, openMeasuredDevice } from './context.js';
import { median, takeTurns } from './measure.js';
import type { Measurement } from './result.js';

const KB = 1024;
const MB = 1024 * KB;
const SIZES = [4 * KB, 64 * KB, MB, 16 * MB, 64 * MB] as const;
/** Below it a copy is mostly the way of a command through driver and firmware, which `launch` measures. */
const BAR_FROM_BYTES = MB;
const BAR_RATIO = 0.8;
/** Copies of one sample: several are in flight, as far as they move no more than this. */
const SAMPLE_BYTES = 16 * MB;
const MOST_IN_FLIGHT = 64;
const ROUNDS = 9;

const sizeText = (bytes: number): string => (bytes < MB ? `${bytes / KB} KiB` : `${bytes / MB} MiB`);

interface Buffers {
  readonly stream: Stream;
  readonly host: HostBuffer;
  readonly device: DeviceBuffer;
  readonly from: Uint8Array;
  readonly to: Uint8Array;
}

async function times(count: number, copy: () => Promise<unknown>): Promise<void> {
  let last: Promise<unknown> = Promise.resolve();
  for (let i = 0; i < count; i++) last = copy();
  await last;
}

async function measure(bytes: number, buffers: Buffers, signal: AbortSignal): Promise<readonly Measurement[]> {
  const { stream, host, device, from, to } = buffers;
  const count = Math.max(1, Math.min(MOST_IN_FLIGHT, SAMPLE_BYTES / bytes));
  const samples = await takeTurns(
    [
      { name: 'to device', run: () => times(count, () => stream.copyToDevice(device, host, { bytes })) },
      { name: 'to host', run: () => times(count, () => stream.copyToHost(host, device, { bytes })) },
      {
        name: 'memcpy',
        run: async () => {
          for (let i = 0; i < count; i++) to.set(from.subarray(0, bytes));
        },
      },
    ],
    { rounds: ROUNDS, warmUp: 2, signal },
  );
  const rate = (name: string): number | null => {
    const ms = median(samples.get(name));
    return ms === null ? null : (count * bytes) / ms / 1e6;
  };
  return ['to device', 'to host'].map((direction) => ({
    name: `copy ${direction}, ${sizeText(bytes)}`,
    value: rate(direction),
    unit: 'GB/s',
    better: 'higher' as const,
    baseline: { name: 'memcpy, one thread', value: rate('memcpy') },
    ...(bytes < BAR_FROM_BYTES ? {} : { bar: { of: 'ratio' as const, limit: BAR_RATIO } }),
  }));
}

export async function benchmarkCopy(context: BenchmarkContext): Promise<readonly Measurement[]> {
  await using measured = await openMeasuredDevice(context);
  const largest = SIZES[SIZES.length - 1] ?? MB;
  const stream = measured.device.defaultStream;
  using device = await measured.device.allocate(largest);
  using host = measured.device.allocateHost(largest);
  // Every page is touched before anything is timed.
  host.view.fill(1);
  await stream.fill(device, 0x0101_0101);
  const buffers = { stream, host, device, from: new Uint8Array(largest).fill(1), to: new Uint8Array(largest).fill(2) };
  const measurements: Measurement[] = [];
  for (const bytes of SIZES) measurements.push(...(await measure(bytes, buffers, context.signal)));
  return measurements;
}
