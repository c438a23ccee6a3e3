/** What every benchmark is given, and the device it measures. */
import { type DebugCalls, openEmulatorWithDebug } from '../src/driver/index.js';
import { bundlePath } from '../src/firmware-emu/index.js';
import type { Generation } from '../src/hw/index.js';
import { Device } from '../src/streaming-api/index.js';

export interface BenchmarkContext {
  readonly generation: Generation;
  /** Host threads that execute PEs, and threads that a baseline may use. */
  readonly threads: number;
  readonly signal: AbortSignal;
  /** One line for the person who waits. */
  readonly say: (line: string) => void;
  /** Only a part of the rows of a benchmark that has many. */
  readonly quick?: boolean;
  /** Takes the chart of a benchmark that draws one; absent where nobody asked for it. */
  readonly writeChart?: (svg: string) => Promise<void>;
}

/** A device, and the counters of the chip behind it, which no driver sees. */
export interface MeasuredDevice extends AsyncDisposable {
  readonly device: Device;
  readonly debug: DebugCalls;
}

export interface MeasuredDeviceOptions {
  readonly threads?: number;
  /** Path within the package; the default bundle when absent. */
  readonly bundle?: string;
}

/** A slow host, or a chip built with a sanitizer, is not a device that hangs. */
const DEADLINE_MS = 600_000;

export async function openMeasuredDevice(
  { generation, threads }: BenchmarkContext,
  options: MeasuredDeviceOptions = {},
): Promise<MeasuredDevice> {
  const { pci, debug } = openEmulatorWithDebug({ generation, threads: options.threads ?? threads });
  const firmware = options.bundle === undefined ? {} : { firmware: bundlePath(options.bundle) };
  const device = await Device.open({ pci, deadlineMs: DEADLINE_MS, ...firmware });
  return { device, debug, [Symbol.asyncDispose]: () => device.close() };
}

/** A rectangle of the grid with one PE for each thread, as far as the grid goes. */
export function rectangleFor(pes: number, device: Device): { readonly columns: number; readonly rows: number } {
  const { columns, rows } = device.properties.grid;
  if (pes <= columns) return { columns: pes, rows: 1 };
  return { columns, rows: Math.min(rows, Math.ceil(pes / columns)) };
}
