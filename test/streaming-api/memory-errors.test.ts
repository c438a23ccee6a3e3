/** Flipped bits in LPDDR, from the memory to the promise: corrected, reported, or (without ECC) delivered. */
import { describe, expect, it } from 'vitest';
import { type DebugCalls, openEmulatorWithDebug } from '../../src/driver/index.js';
import { bundlePath, TEST_KERNELS_BUNDLE } from '../../src/firmware-emu/index.js';
import { COPY_ARGUMENTS, encodeStruct } from '../../src/hw/index.js';
import { Device, type DeviceBuffer } from '../../src/streaming-api/index.js';
import { ONE_PE } from './test-device.js';

const BYTES = 4096;
const BAD_WORD = 1024;
const ONE_BIT = 1n << 17n;
const TWO_BITS = 0x8000_0000_0000_0001n;
const HARDWARE_ERROR = 19n;

interface Bench extends AsyncDisposable {
  readonly device: Device;
  readonly debug: DebugCalls;
  readonly data: Uint8Array;
  readonly source: DeviceBuffer;
  readonly destination: DeviceBuffer;
  read(): Promise<Uint8Array>;
  /** The COPY kernel from source to destination, and the copy back. */
  readByKernel(): Promise<Uint8Array>;
}

async function openBench(options: { ecc?: boolean } = {}): Promise<Bench> {
  const { pci, debug } = openEmulatorWithDebug({ generation: '2i', threads: 1 });
  const device = await Device.open({ pci, firmware: bundlePath(TEST_KERNELS_BUNDLE), ...options });
  const stream = device.defaultStream;
  const data = Uint8Array.from({ length: BYTES }, (_, i) => (i * 31) & 0xff);
  const source = await device.allocate(BYTES);
  const destination = await device.allocate(BYTES);
  await stream.copyToDevice(source, data);
  const read = async (from: DeviceBuffer): Promise<Uint8Array> => {
    const result = new Uint8Array(BYTES);
    await stream.copyToHost(result, from);
    return result;
  };
  return {
    device,
    debug,
    data,
    source,
    destination,
    read: () => read(source),
    readByKernel: async () => {
      const words = new BigUint64Array(COPY_ARGUMENTS.size / 8);
      encodeStruct(COPY_ARGUMENTS, new DataView(words.buffer), 0, {
        input: source.address,
        output: destination.address,
        rows: 4,
        row_bytes: BYTES / 4,
        input_stride: BYTES / 4,
        output_stride: BYTES / 4,
      });
      await stream.launch(device.kernel('copy'), { grid: ONE_PE }, [...words]);
      return read(destination);
    },
    [Symbol.asyncDispose]: () => device.close(),
  };
}

describe.each(['read', 'readByKernel'] as const)('a flipped bit in LPDDR, met by %s', (how) => {
  it('is corrected once and counted', async () => {
    await using bench = await openBench();
    bench.debug.injectError(bench.source.address + BigInt(BAD_WORD), ONE_BIT);
    expect(await bench[how]()).toEqual(bench.data);
    expect(await bench[how]()).toEqual(bench.data);
    expect(bench.debug.memoryCounters()).toMatchObject({ eccCorrected: 1n, eccUncorrectable: 0n });
  });

  it('beside another one fails the reader until the word is written, and nothing else', async () => {
    await using bench = await openBench();
    const address = bench.source.address + BigInt(BAD_WORD);
    bench.debug.injectError(address, TWO_BITS);
    const place = how === 'read' ? { value: address } : { value: address, cause: HARDWARE_ERROR, pe: 0 };
    await expect(bench[how]()).rejects.toMatchObject({ code: 'ECC_UNCORRECTABLE', place });
    await expect(bench[how]()).rejects.toMatchObject({ code: 'ECC_UNCORRECTABLE' });
    expect(bench.debug.memoryCounters()).toMatchObject({ eccCorrected: 0n, eccUncorrectable: 2n });
    await bench.device.defaultStream.launch(bench.device.kernel('null'), { grid: ONE_PE });
    await bench.device.defaultStream.copyToDevice(bench.source, bench.data);
    expect(await bench[how]()).toEqual(bench.data);
  });

  it('reaches the result where ECC is off', async () => {
    await using bench = await openBench({ ecc: false });
    bench.debug.injectError(bench.source.address + BigInt(BAD_WORD), TWO_BITS);
    const flipped = Uint8Array.from(bench.data);
    const view = new DataView(flipped.buffer);
    view.setBigUint64(BAD_WORD, view.getBigUint64(BAD_WORD, true) ^ TWO_BITS, true);
    expect(await bench[how]()).toEqual(flipped);
    expect(bench.debug.memoryCounters()).toMatchObject({ eccCorrected: 0n, eccUncorrectable: 0n });
  });
});

describe('what a memory error may be injected into', () => {
  it('is an aligned word of LPDDR', async () => {
    await using bench = await openBench();
    const refused = expect.objectContaining({ code: 'CHIP_BAD_ARGUMENT' });
    expect(() => bench.debug.injectError(bench.source.address + 4n, 1n)).toThrow(refused);
    expect(() => bench.debug.injectError(0x8000_0000n, 1n)).toThrow(refused);
  });
});
