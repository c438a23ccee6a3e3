/** Copies that the card decompresses, against zlib on the host. */
import { constants, crc32, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SPECIFICATIONS } from '../../src/hw/index.js';
import { Device, type Stream } from '../../src/streaming-api/index.js';
import { openTestDevice } from './test-device.js';

let device: Device;
let stream: Stream;

beforeAll(async () => {
  device = await openTestDevice();
  stream = await device.createStream();
});
afterAll(() => device.close());

/** Text-like bytes: runs, repeats near and far, and noise. */
function mixed(bytes: number, seed = 1): Buffer {
  const data = Buffer.alloc(bytes);
  let state = seed;
  for (let at = 0; at < bytes; at++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const kind = (at >> 9) % 3;
    const back = at - 1 - (state >>> 17);
    if (kind === 0) data[at] = state >>> 24;
    else if (kind === 1) data[at] = 97 + (state >>> 29);
    else data[at] = back >= 0 ? (data[back] ?? 0) : 0;
  }
  return data;
}

async function decompressed(compressed: Uint8Array, room: number): Promise<Buffer> {
  using buffer = await device.allocate(Math.max(1, room));
  await stream.fill(buffer, 0, { bytes: 0 });
  const { bytes = -1 } = await stream.copyToDevice(buffer, compressed, { decompress: 'gzip' });
  const result = Buffer.alloc(bytes);
  await stream.copyToHost(result, buffer);
  return result;
}

/** A gzip member with every optional field of the header, its own checksum included. */
function withAllFields(data: Buffer): Buffer {
  const plain = gzipSync(data);
  const header = Buffer.concat([plain.subarray(0, 10), Buffer.from([4, 0, 1, 2, 3, 4]), Buffer.from('name\0words\0')]);
  header[3] = 0x1f;
  const check = Buffer.alloc(2);
  check.writeUInt16LE(crc32(header) & 0xffff);
  return Buffer.concat([header, check, plain.subarray(10)]);
}

describe('a copy that decompresses', () => {
  it.each([0, 1, 100, 65_536, 400_000])('gives %i bytes back, whatever the level and strategy', async (bytes) => {
    const data = mixed(bytes);
    for (const level of [0, 1, 6, 9]) {
      for (const strategy of [
        constants.Z_DEFAULT_STRATEGY,
        constants.Z_HUFFMAN_ONLY,
        constants.Z_RLE,
        constants.Z_FIXED,
      ]) {
        const result = await decompressed(gzipSync(data, { level, strategy }), bytes);
        expect(Buffer.compare(result, data)).toBe(0);
      }
    }
  });

  it('agrees with zlib on random data', async () => {
    const runs = fc.array(fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 300 }), fc.integer({ min: 1, max: 200 })));
    await fc.assert(
      fc.asyncProperty(
        runs,
        fc.integer({ min: 0, max: 9 }),
        fc.integer({ min: 9, max: 15 }),
        async (parts, level, windowBits) => {
          const data = Buffer.concat(parts.flatMap(([bytes, times]) => new Array<Uint8Array>(times).fill(bytes)));
          const result = await decompressed(gzipSync(data, { level, windowBits }), data.length);
          expect(Buffer.compare(result, data)).toBe(0);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('takes several members, optional header fields, and 10 MB', async () => {
    const [first, second] = [mixed(100_000), mixed(70_000, 2)];
    const members = Buffer.concat([gzipSync(first), gzipSync(Buffer.alloc(0)), withAllFields(second)]);
    expect(Buffer.compare(await decompressed(members, 170_000), Buffer.concat([first, second]))).toBe(0);
    const large = mixed(10_000_000);
    expect(Buffer.compare(await decompressed(gzipSync(large), large.length), large)).toBe(0);
  });

  it('reads pinned memory at an offset, and writes nothing outside its destination', async () => {
    const data = mixed(5000);
    const compressed = gzipSync(data);
    using host = device.allocateHost(compressed.length + 100);
    host.view.set(compressed, 100);
    using buffer = await device.allocate(8192);
    await stream.fill(buffer, 0xeeee_eeee);
    const options = { decompress: 'gzip', sourceOffset: 100, destinationOffset: 64 } as const;
    expect((await stream.copyToDevice(buffer, host, options)).bytes).toBe(5000);
    const result = Buffer.alloc(8192);
    await stream.copyToHost(result, buffer);
    expect(result.subarray(64, 5064).equals(data)).toBe(true);
    expect([...result.subarray(0, 64), ...result.subarray(5064)].every((byte) => byte === 0xee)).toBe(true);
  });

  it('takes the time of the decompressor or of PCI Express, whichever is longer', async () => {
    const { gunzipGBs, pcieGBs } = SPECIFICATIONS['2i'];
    using buffer = await device.allocate(4_000_000);
    const timeOf = async (data: Buffer): Promise<number> =>
      (await stream.copyToDevice(buffer, gzipSync(data), { decompress: 'gzip' })).deviceUs;
    expect(await timeOf(Buffer.alloc(4_000_000))).toBeCloseTo(4e6 / gunzipGBs.value / 1e3, 0);
    const noise = Buffer.concat([mixed(512), mixed(512, 7)]);
    expect(await timeOf(noise)).toBeGreaterThanOrEqual(Math.floor(1024 / pcieGBs.value) / 1e3);
  });
});

describe('damaged compressed data', () => {
  const data = mixed(3000);
  const compressed = gzipSync(data);
  const damaged = (at: number): Buffer => {
    const copy = Buffer.from(compressed);
    copy[at] = (copy[at] ?? 0) ^ 0xff;
    return copy;
  };
  const end = compressed.length;

  it.each([
    ['nothing at all', Buffer.alloc(0), 3000],
    ['another magic number', damaged(0), 3000],
    ['another method', damaged(2), 3000],
    ['reserved flags', damaged(3), 3000],
    ['a wrong checksum', damaged(end - 8), 3000],
    ['a wrong size', damaged(end - 4), 3000],
    ['a missing trailer', compressed.subarray(0, end - 8), 3000],
    ['a missing end', compressed.subarray(0, end - 100), 3000],
    ['bytes behind the last member', Buffer.concat([compressed, Buffer.from([1, 2, 3])]), 3000],
    ['more than fits', compressed, 2999],
  ])('%s is DECOMPRESSION', async (_what, bytes, room) => {
    using buffer = await device.allocate(4096);
    await stream.fill(buffer, 0xeeee_eeee);
    const options = { decompress: 'gzip', destinationOffset: 4096 - room } as const;
    await expect(stream.copyToDevice(buffer, bytes, options)).rejects.toMatchObject({ code: 'DECOMPRESSION' });
    await expect(stream.synchronize()).rejects.toMatchObject({ code: 'DECOMPRESSION' });
    const result = Buffer.alloc(4096);
    await stream.copyToHost(result, buffer);
    expect(result.subarray(0, 4096 - room).every((byte) => byte === 0xee)).toBe(true);
  });

  it('is found wherever one byte is wrong, and the offset says about where', async () => {
    using buffer = await device.allocate(4096);
    for (let at = 10; at < end; at += 37) {
      const error = await stream.copyToDevice(buffer, damaged(at), { decompress: 'gzip' }).catch((reason) => reason);
      expect(error).toMatchObject({ code: 'DECOMPRESSION' });
      expect(Number(error.place.value)).toBeLessThanOrEqual(end);
    }
    await stream.synchronize().catch(() => undefined);
  });
});

it('v1 says that it cannot decompress, and goes on', async () => {
  await using old = await Device.open({ generation: 'v1', threads: 1 });
  expect(old.properties.decompression).toEqual([]);
  expect(device.properties.decompression).toEqual(['gzip']);
  using buffer = await old.allocate(64);
  const refused = old.defaultStream.copyToDevice(buffer, gzipSync('words'), { decompress: 'gzip' });
  await expect(refused).rejects.toMatchObject({ code: 'UNSUPPORTED_COMMAND' });
  await expect(old.synchronize()).rejects.toMatchObject({ code: 'UNSUPPORTED_COMMAND' });
  await old.defaultStream.fill(buffer, 0);
});
