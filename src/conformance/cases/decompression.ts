/** Copies whose source the host path decompresses (GZIP, RFC 1952), and cards that cannot. */
import assert from 'node:assert/strict';
import { gzipSync } from 'node:zlib';
import { type CompletionRecord, HOST_PAGE_BYTES } from '../../driver/index.js';
import { HOST_COMMAND } from '../../hw/index.js';
import { category, conformanceCase } from '../case.js';
import { equalBytes, rejectsWith } from '../expectations.js';
import type { Random } from '../random.js';
import { PAGE_BYTES, type Session } from '../session.js';

const { COPY_HOST_TO_DEVICE_GUNZIP } = HOST_COMMAND;
const GUARD = 64;
const UNTOUCHED = 0x7e;
/** Places that no unit of a memory or a bus begins at. */
const [ODD_HOST, ODD_DEVICE] = [13, PAGE_BYTES + 37];
/** Of a member without optional fields. */
const HEADER_BYTES = 10;
const TRAILER_BYTES = 8;

/** Bytes with runs, repeats near and far, and noise: blocks of every kind. */
function mixed(random: Random, bytes: number): Uint8Array {
  const noise = random.bytes(512);
  const kinds = [
    (at: number) => noise[(at * 7) % 512] ?? 0,
    (at: number) => 97 + (noise[at % 64] ?? 0) / 32,
    () => 0,
  ] as const;
  return Uint8Array.from({ length: bytes }, (_, at) => kinds[(at >> 9) % 3]?.(at) ?? 0);
}

/** A stream from an odd place of host memory to an odd place of the device, which may take `room` bytes. */
async function decompress(session: Session, compressed: Uint8Array, room: number): Promise<CompletionRecord> {
  const address = session.memory + BigInt(ODD_DEVICE);
  await session.write(address - BigInt(GUARD), new Uint8Array(room + 2 * GUARD).fill(UNTOUCHED));
  session.host.set(compressed, ODD_HOST);
  return session.submit({
    opcode: COPY_HOST_TO_DEVICE_GUNZIP,
    a: session.iova + BigInt(ODD_HOST),
    b: address,
    c: compressed.byteLength,
    d: room,
  });
}

/** What `decompress` has left where it may write; fails where it wrote anything else. */
async function written(session: Session, room: number): Promise<Uint8Array> {
  const around = await session.read(session.memory + BigInt(ODD_DEVICE - GUARD), room + 2 * GUARD);
  const guard = new Uint8Array(GUARD).fill(UNTOUCHED);
  equalBytes(around.subarray(0, GUARD), guard, 'before the destination');
  equalBytes(around.subarray(GUARD + room), guard, 'behind the destination');
  return around.subarray(GUARD, GUARD + room);
}

const changed = (bytes: Uint8Array, at: number): Uint8Array => {
  const copy = Uint8Array.from(bytes);
  const index = at < 0 ? copy.length + at : at;
  copy[index] = (copy[index] ?? 0) ^ 0x21;
  return copy;
};

/** What may be wrong with a stream. */
const DAMAGES: Readonly<Record<string, (good: Uint8Array) => Uint8Array>> = {
  'of no bytes': () => new Uint8Array(0),
  'that is no GZIP': (good) => changed(good, 0),
  'of another method': (good) => changed(good, 2),
  'with flags that mean nothing': (good) => changed(good, 3),
  'cut off in its header': (good) => good.subarray(0, HEADER_BYTES - 1),
  'cut off in its data': (good) => good.subarray(0, good.length >> 1),
  'without its last byte': (good) => good.subarray(0, -1),
  'without its trailer': (good) => good.subarray(0, -TRAILER_BYTES),
  'with a wrong checksum': (good) => changed(good, -TRAILER_BYTES),
  'with a wrong length': (good) => changed(good, -1),
  'with other bytes behind it': (good) => Uint8Array.of(...good, 1, 2, 3),
};

const LENGTH = 3000;

const damages = Object.entries(DAMAGES).map(([what, damage]) =>
  conformanceCase(`refuses a stream ${what}`, 'DMA-11', {}, async (fixture) => {
    const session = await fixture.session();
    const good = gzipSync(mixed(fixture.random, LENGTH));
    const bad = damage(good);
    const error = await rejectsWith('DECOMPRESSION', decompress(session, bad, LENGTH));
    const { value: offset = 0n } = error.place ?? {};
    assert.ok(offset <= BigInt(bad.length), `the offset is ${offset} of ${bad.length}`);
    await written(session, LENGTH);
    const { bytes } = await decompress(session, good, LENGTH);
    assert.equal(bytes, LENGTH);
  }),
);

const sizes = ([0, 1, 4096, 65_537, 1_000_003] as const).map((size) =>
  conformanceCase(`decompresses ${size} bytes`, 'DMA-10', {}, async (fixture) => {
    const session = await fixture.session();
    const data = mixed(fixture.random, size);
    for (const level of [0, 1, 9]) {
      const { bytes } = await decompress(session, gzipSync(data, { level }), size);
      assert.equal(bytes, size);
      equalBytes(await written(session, size), data, `what level ${level} had compressed`);
    }
  }),
);

const able = category('DMA', { requires: ['memory', 'decompression'] }, [
  ...sizes,
  ...damages,

  conformanceCase('decompresses members one behind the other', 'DMA-10', {}, async (fixture) => {
    const session = await fixture.session();
    const parts = [70_000, 0, 1, 33_000].map((bytes) => mixed(fixture.random, bytes));
    const whole = Buffer.concat(parts);
    const { bytes } = await decompress(session, Buffer.concat(parts.map((part) => gzipSync(part))), whole.length);
    assert.equal(bytes, whole.length);
    equalBytes(await written(session, whole.length), whole, 'the members');
  }),

  conformanceCase('leaves alone what a stream does not fill', 'DMA-10', {}, async (fixture) => {
    const session = await fixture.session();
    const data = mixed(fixture.random, LENGTH);
    const { bytes } = await decompress(session, gzipSync(data), 2 * LENGTH);
    assert.equal(bytes, LENGTH);
    const result = await written(session, 2 * LENGTH);
    equalBytes(result.subarray(0, LENGTH), data, 'the stream');
    equalBytes(result.subarray(LENGTH), new Uint8Array(LENGTH).fill(UNTOUCHED), 'behind the stream');
  }),

  ...[1, 100_000].map((missing) =>
    conformanceCase(
      `refuses a stream that is ${missing} bytes longer than its destination`,
      'DMA-11',
      {},
      async (fixture) => {
        const session = await fixture.session();
        const data = mixed(fixture.random, 200_000);
        const compressed = gzipSync(data);
        await rejectsWith('DECOMPRESSION', decompress(session, compressed, data.length - missing));
        await written(session, data.length - missing);
        await decompress(session, compressed, data.length);
        equalBytes(await written(session, data.length), data, 'the stream where there is room');
      },
    ),
  ),

  conformanceCase(
    'names the host address at which a stream leaves its mapping',
    'DMA-3',
    { requires: ['isolation'] },
    async (fixture) => {
      const session = await fixture.session();
      const pages = session.context.allocateHost(HOST_PAGE_BYTES);
      const iova = session.context.mapHost(pages);
      const compressed = gzipSync(mixed(fixture.random, LENGTH), { level: 0 });
      const inside = 1000;
      pages.view.set(compressed.subarray(0, inside), HOST_PAGE_BYTES - inside);
      const end = iova + BigInt(HOST_PAGE_BYTES);
      const error = await rejectsWith(
        'HOST_ADDRESS_FAULT',
        session.submit({
          opcode: COPY_HOST_TO_DEVICE_GUNZIP,
          a: end - BigInt(inside),
          b: session.memory,
          c: compressed.length,
          d: LENGTH,
        }),
      );
      assert.equal(error.place?.value, end);
    },
  ),

  conformanceCase(
    'refuses to decompress into memory that no context owns',
    'DMA-4',
    { requires: ['isolation'] },
    async (fixture) => {
      const session = await fixture.session();
      const compressed = gzipSync(mixed(fixture.random, LENGTH));
      session.host.set(compressed);
      const beyond = session.memory + BigInt(session.memoryBytes);
      const copy = { opcode: COPY_HOST_TO_DEVICE_GUNZIP, a: session.iova, c: compressed.length, d: LENGTH };
      const error = await rejectsWith('MEMORY_PROTECTION', session.submit({ ...copy, b: beyond - 16n }));
      assert.equal(error.place?.value, beyond);
      await session.submit({ ...copy, b: session.memory });
    },
  ),
]);

const streams = category('async memcpy', { requires: ['memory', 'decompression'] }, [
  conformanceCase('decompresses arrays as they are at the call', 'CPY-3', {}, async (fixture) => {
    const device = await fixture.device();
    const { defaultStream: stream } = device;
    assert.deepEqual(device.properties.decompression, ['gzip']);
    const data = mixed(fixture.random, LENGTH);
    const compressed = Uint8Array.from(gzipSync(data));
    const buffer = await device.allocate(LENGTH + 128);
    const done = stream.copyToDevice(buffer, compressed, { decompress: 'gzip', destinationOffset: 128 });
    compressed.fill(0);
    assert.equal((await done).bytes, LENGTH);
    const result = new Uint8Array(LENGTH);
    await stream.copyToHost(result, buffer, { sourceOffset: 128 });
    equalBytes(result, data, 'the stream');
  }),

  conformanceCase('ends a copy that decompresses when its signal aborts', 'FAIL-4', {}, async (fixture) => {
    const device = await fixture.device();
    const { defaultStream: stream } = device;
    const buffer = await device.allocate(LENGTH);
    const compressed = gzipSync(mixed(fixture.random, LENGTH));
    const host = device.allocateHost(compressed.length);
    host.view.set(compressed);
    for (const source of [compressed, host]) {
      const controller = new AbortController();
      let release: () => void = () => undefined;
      const held = new Promise<void>((resolve) => {
        release = resolve;
      });
      void stream.launchHostFunction(() => held);
      const copy = stream.copyToDevice(buffer, source, { decompress: 'gzip', signal: controller.signal });
      const refused = rejectsWith('ABORTED', copy);
      controller.abort();
      release();
      await refused;
      await rejectsWith('ABORTED', stream.synchronize());
    }
    await stream.copyToDevice(buffer, host, { decompress: 'gzip' });
  }),

  conformanceCase(
    'refuses rows of a compressed stream, and a destination that is too far',
    'NEG-1',
    {},
    async (fixture) => {
      const device = await fixture.device();
      const { defaultStream: stream } = device;
      const buffer = await device.allocate(LENGTH);
      const compressed = gzipSync(mixed(fixture.random, LENGTH));
      for (const options of [{ rows: 2, bytes: 8 }, { destinationOffset: LENGTH + 1 }, { sourceOffset: -1 }]) {
        const refused = stream.copyToDevice(buffer, compressed, { decompress: 'gzip', ...options });
        await rejectsWith('INVALID_ARGUMENT', refused);
      }
    },
  ),
]);

const unable = category('DMA', { requires: ['memory'], excludes: ['decompression'] }, [
  conformanceCase('refuses to decompress, says that it cannot, and goes on', 'DMA-12', {}, async (fixture) => {
    const session = await fixture.session();
    const data = mixed(fixture.random, LENGTH);
    const compressed = gzipSync(data);
    await rejectsWith('UNSUPPORTED_COMMAND', decompress(session, compressed, LENGTH));
    equalBytes(await written(session, LENGTH), new Uint8Array(LENGTH).fill(UNTOUCHED), 'the destination');
    await session.roundTrip(session.memory, data);
  }),

  conformanceCase('offers no decompression where the card has none', 'DMA-12', {}, async (fixture) => {
    const device = await fixture.device();
    const { defaultStream: stream } = device;
    assert.deepEqual(device.properties.decompression, []);
    const buffer = await device.allocate(64);
    const refused = stream.copyToDevice(buffer, gzipSync('words'), { decompress: 'gzip' });
    const { message } = await rejectsWith('UNSUPPORTED_COMMAND', refused);
    assert.match(message, /decompress/);
    await rejectsWith('UNSUPPORTED_COMMAND', stream.synchronize());
    await stream.fill(buffer, 0);
  }),
]);

export const decompressionCases = [...able, ...streams, ...unable];
