/** Launches of single kernels on a device, for what they take in device time. Contents are zero unless written. */
import { encodeStruct, type FieldValue, type StructLayout } from '../src/hw/index.js';
import type { Device, DeviceBuffer } from '../src/streaming-api/index.js';
import type { MeasuredDevice } from './context.js';

export type Memory = 'sram' | 'lpddr';

type Value = FieldValue | DeviceBuffer;

export interface KernelLaunch<Name extends string> {
  readonly kernel: string;
  readonly layout: StructLayout<Name>;
  readonly values: Partial<Record<Name, Value>>;
  /** The whole grid when absent. */
  readonly grid?: { readonly columns: number; readonly rows: number };
}

export type LaunchOf<Layout> = Layout extends StructLayout<infer Name> ? KernelLaunch<Name> : never;

const isBuffer = (value: unknown): value is DeviceBuffer =>
  typeof value === 'object' && value !== null && 'address' in value;

/** A device whose buffers of one row are freed together. */
export class FidelityDevice {
  readonly device: Device;
  readonly #buffers: DeviceBuffer[] = [];

  constructor({ device }: MeasuredDevice) {
    this.device = device;
  }

  async allocate(bytes: number, memory: Memory): Promise<DeviceBuffer> {
    const buffer = await this.device.allocate(bytes, { memory });
    this.#buffers.push(buffer);
    return buffer;
  }

  async allocateWith(data: ArrayBufferView, memory: Memory): Promise<DeviceBuffer> {
    const buffer = await this.allocate(data.byteLength, memory);
    await this.device.defaultStream.copyToDevice(buffer, data);
    return buffer;
  }

  /** Frees what was allocated since the last call. */
  release(): void {
    for (const buffer of this.#buffers.splice(0)) buffer[Symbol.dispose]();
  }

  /** Device time of one launch in microseconds, the launch itself included. */
  async launchUs<Name extends string>({ kernel, layout, values, grid }: KernelLaunch<Name>): Promise<number> {
    const placed: Partial<Record<Name, FieldValue>> = {};
    for (const [name, value] of Object.entries(values) as [Name, Value][]) {
      placed[name] = isBuffer(value) ? value.address : value;
    }
    const bytes = new Uint8Array(layout.size);
    encodeStruct(layout, new DataView(bytes.buffer), 0, placed);
    const whole = grid ?? this.device.properties.grid;
    const { deviceUs } = await this.device.defaultStream.launch(this.device.kernel(kernel), { grid: whole }, bytes);
    return deviceUs;
  }
}
