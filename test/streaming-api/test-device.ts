/** Devices for tests: the emulated chip with the kernels that fail in every way. */
import { bundlePath, TEST_KERNELS_BUNDLE } from '../../src/firmware-emu/index.js';
import { Device, type DeviceOptions } from '../../src/streaming-api/index.js';

export const ONE_PE = { columns: 1, rows: 1 } as const;

export function openTestDevice(options: DeviceOptions = {}): Promise<Device> {
  return Device.open({ firmware: bundlePath(TEST_KERNELS_BUNDLE), threads: 2, ...options });
}
