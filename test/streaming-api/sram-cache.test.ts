/** SRAM divided into scratchpad and cache: what is left to allocate, what is out of bounds, what a hit is worth. */
import { describe, expect, it } from 'vitest';
import { type MemoryCounters, openEmulatorWithDebug } from '../../src/driver/index.js';
import { bundlePath, TEST_KERNELS_BUNDLE } from '../../src/firmware-emu/index.js';
import { COPY_ARGUMENTS, encodeStruct, type Generation, MEMORY_MAP } from '../../src/hw/index.js';
import { Device } from '../../src/streaming-api/index.js';
import { ONE_PE, openTestDevice } from './test-device.js';

const MIB = 2 ** 20;
const ROWS = 512;
const ROW_BYTES = 1024;

interface Run {
  readonly deviceUs: number;
  readonly counters: MemoryCounters;
  readonly data: Uint8Array;
}

/** 2 x 2 PEs copy one row of LPDDR to many: all reads but the first of each PE can hit. */
async function copyOneRow(sramCacheBytes: number, threads: number): Promise<Run> {
  const { pci, debug } = openEmulatorWithDebug({ generation: '2i', threads });
  await using device = await Device.open({ pci, firmware: bundlePath(TEST_KERNELS_BUNDLE), sramCacheBytes });
  const stream = device.defaultStream;
  using source = await device.allocate(ROW_BYTES);
  using destination = await device.allocate(ROWS * ROW_BYTES, { memory: 'sram' });
  await stream.copyToDevice(
    source,
    Uint8Array.from({ length: ROW_BYTES }, (_, i) => (i * 13) & 0xff),
  );
  const words = new BigUint64Array(COPY_ARGUMENTS.size / 8);
  encodeStruct(COPY_ARGUMENTS, new DataView(words.buffer), 0, {
    input: source.address,
    output: destination.address,
    rows: ROWS,
    row_bytes: ROW_BYTES,
    input_stride: 0,
    output_stride: ROW_BYTES,
  });
  const { deviceUs } = await stream.launch(device.kernel('copy'), { grid: { columns: 2, rows: 2 } }, [...words]);
  const data = new Uint8Array(ROWS * ROW_BYTES);
  await stream.copyToHost(data, destination);
  return { deviceUs, counters: debug.memoryCounters(), data };
}

describe('SRAM as cache', () => {
  it('serves what is read again, faster, with the same data', async () => {
    const without = await copyOneRow(0, 1);
    const cached = await copyOneRow(32 * MIB, 1);
    expect(cached.data).toEqual(without.data);
    expect(without.counters).toMatchObject({ cacheHitBytes: 0n, lpddrReadBytes: BigInt(ROWS * ROW_BYTES) });
    expect(cached.counters.cacheMissedBytes).toBe(BigInt(4 * ROW_BYTES));
    expect(cached.counters.cacheHitBytes).toBe(BigInt((ROWS - 4) * ROW_BYTES));
    expect(cached.deviceUs).toBeLessThan(without.deviceUs);
  });

  it('takes the same device time with any number of threads', async () => {
    const [one, two] = [await copyOneRow(32 * MIB, 1), await copyOneRow(32 * MIB, 2)];
    expect(two.deviceUs).toBe(one.deviceUs);
    expect(two.counters.cacheHitBytes).toBe(one.counters.cacheHitBytes);
  });

  it.each([
    ['2i', 32],
    ['2i', 224],
    ['v1', 96],
  ] as const)('leaves the rest of it on %s with %i MiB of cache', async (generation: Generation, megabytes) => {
    await using device = await openTestDevice({ generation, sramCacheBytes: megabytes * MIB });
    const edge = MEMORY_MAP.SRAM.base + BigInt(device.properties.sramBytes - megabytes * MIB);
    const store = (address: bigint): Promise<unknown> =>
      device.defaultStream.launch(device.kernel('out_of_bounds'), { grid: ONE_PE }, [address]);
    await expect(store(edge)).rejects.toMatchObject({ code: 'MEMORY_PROTECTION', place: { value: edge } });
    const room = device.properties.sramBytes - megabytes * MIB;
    await expect(device.allocate(room, { memory: 'sram' })).rejects.toMatchObject({ code: 'OUT_OF_DEVICE_MEMORY' });
    using all = await device.allocate(room - 8 * MIB, { memory: 'sram' });
    const last = all.address + BigInt(room - 8 * MIB) - 8n;
    expect(last).toBe(edge - 8n);
    await expect(store(last)).resolves.toBeDefined();
  });

  it.each([1, 31 * MIB, 256 * MIB, -32 * MIB])('of %i bytes is refused', async (sramCacheBytes) => {
    await expect(openTestDevice({ sramCacheBytes })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});
