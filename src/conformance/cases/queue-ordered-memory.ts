/** Memory that streams allocate and free in their order, and the pools that it comes from. */
import assert from 'node:assert/strict';
import type { Device, DeviceBuffer, MemoryPool, Stream } from '../../streaming-api/index.js';
import { category, conformanceCase } from '../case.js';
import { equalBytes, rejectsWith } from '../expectations.js';
import { type HeldStream, holdStream } from '../held-stream.js';

const BYTES = 4096;
const MIB = 1024 * 1024;
const SEGMENT_BYTES = MIB;

interface HeldFree extends HeldStream {
  /** A segment of it is a buffer of SEGMENT_BYTES: an allocation of that size lies there, or in a segment of its own. */
  readonly pool: MemoryPool;
  /** Of what the stream has freed, while its commands wait. */
  readonly address: bigint;
}

async function heldFree(device: Device): Promise<HeldFree> {
  const held = await holdStream(device);
  const pool = device.createMemoryPool({ memory: 'sram', releaseThreshold: 100 * MIB });
  const buffer = await held.stream.allocate(SEGMENT_BYTES, { pool });
  const { address } = buffer;
  fillAndFree(held.stream, buffer);
  return { ...held, pool, address };
}

function fillAndFree(stream: Stream, buffer: DeviceBuffer): void {
  void stream.fill(buffer, 1, { bytes: 64 });
  stream.free(buffer);
}

/** Where the pool puts a whole segment for the stream, or for the host. */
async function addressOf(on: Stream | Device, pool: MemoryPool): Promise<bigint> {
  return (await on.allocate(SEGMENT_BYTES, { pool })).address;
}

/** A pool that holds all SRAM there is in one buffer. */
async function wholeSram(device: Device, stream: Stream, pool: MemoryPool): Promise<DeviceBuffer> {
  const [free] = device.memoryInfo('sram');
  return stream.allocate(free, { pool });
}

const reuse = category('queue-ordered memory', { requires: ['semaphores', 'queues'] }, [
  conformanceCase('is used again at once by the stream that freed it', 'QOM-2', {}, async (fixture) => {
    const device = await fixture.device();
    const { stream, pool, address, release } = await heldFree(device);
    assert.equal(stream.query(), false);
    assert.equal(await addressOf(stream, pool), address);
    await release();
  }),

  conformanceCase('keeps the order of commands over a reuse', 'QOM-1', { requires: ['memory'] }, async (fixture) => {
    const device = await fixture.device();
    const { stream, release } = await holdStream(device);
    const results: Uint8Array[] = [];
    const addresses = new Set<bigint>();
    for (let round = 0; round < 20; round++) {
      const buffer = await stream.allocate(BYTES);
      addresses.add(buffer.address);
      const result = new Uint8Array(BYTES);
      void stream.copyToDevice(buffer, new Uint8Array(BYTES).fill(round));
      void stream.copyToHost(result, buffer);
      results.push(result);
      stream.free(buffer);
    }
    assert.equal(addresses.size, 1);
    await release();
    for (const [round, result] of results.entries()) {
      equalBytes(result, new Uint8Array(BYTES).fill(round), `round ${round}`);
    }
  }),

  conformanceCase('joins what a stream has freed for the same stream', 'QOM-2', {}, async (fixture) => {
    const device = await fixture.device();
    const { stream, release } = await holdStream(device);
    const pool = device.createMemoryPool({ memory: 'sram' });
    const halves = [
      await stream.allocate(SEGMENT_BYTES / 2, { pool }),
      await stream.allocate(SEGMENT_BYTES / 2, { pool }),
    ];
    const [address] = halves.map((half) => half.address).sort();
    for (const half of halves) fillAndFree(stream, half);
    assert.equal(await addressOf(stream, pool), address);
    await release();
  }),

  conformanceCase('is kept from another stream while its commands wait', 'QOM-2', {}, async (fixture) => {
    const device = await fixture.device();
    const { pool, address, release } = await heldFree(device);
    const other = await device.createStream();
    assert.notEqual(await addressOf(other, pool), address);
    await release();
  }),

  conformanceCase('is kept from the host while its commands wait', 'QOM-1', {}, async (fixture) => {
    const device = await fixture.device();
    const { pool, address, release } = await heldFree(device);
    assert.notEqual(await addressOf(device, pool), address);
    await release();
    assert.equal(await addressOf(device, pool), address);
  }),

  conformanceCase('is given to a stream that waits for an event behind the free', 'QOM-2', {}, async (fixture) => {
    const device = await fixture.device();
    const { stream, pool, address, release } = await heldFree(device);
    const other = await device.createStream();
    other.waitEvent(stream.recordEvent());
    assert.equal(stream.query(), false);
    assert.equal(await addressOf(other, pool), address);
    await release();
  }),

  conformanceCase(
    'keeps the order of commands behind such an event',
    'QOM-1',
    { requires: ['memory'] },
    async (fixture) => {
      const device = await fixture.device();
      const { stream, release } = await holdStream(device);
      const pool = device.createMemoryPool({ memory: 'sram' });
      const buffer = await stream.allocate(SEGMENT_BYTES, { pool });
      const { address } = buffer;
      const result = new Uint8Array(BYTES);
      void stream.copyToDevice(buffer, new Uint8Array(BYTES).fill(3));
      void stream.copyToHost(result, buffer);
      stream.free(buffer);
      const other = await device.createStream();
      other.waitStream(stream);
      const next = await other.allocate(SEGMENT_BYTES, { pool });
      assert.equal(next.address, address);
      void other.copyToDevice(next, new Uint8Array(BYTES).fill(4));
      await release();
      await other.synchronize();
      equalBytes(result, new Uint8Array(BYTES).fill(3), 'what the first stream read');
    },
  ),

  conformanceCase('is given over a third stream that waited', 'QOM-2', {}, async (fixture) => {
    const device = await fixture.device();
    const { stream, pool, address, release } = await heldFree(device);
    const between = await device.createStream();
    const last = await device.createStream();
    between.waitEvent(stream.recordEvent());
    last.waitEvent(between.recordEvent());
    assert.equal(await addressOf(last, pool), address);
    await release();
  }),

  conformanceCase('is not given behind an event that was recorded before the free', 'QOM-2', {}, async (fixture) => {
    const device = await fixture.device();
    const { stream, release } = await holdStream(device);
    const pool = device.createMemoryPool({ memory: 'sram' });
    const buffer = await stream.allocate(SEGMENT_BYTES, { pool });
    const { address } = buffer;
    const event = stream.recordEvent();
    fillAndFree(stream, buffer);
    const other = await device.createStream();
    other.waitEvent(event);
    assert.notEqual(await addressOf(other, pool), address);
    await release();
  }),

  conformanceCase('is not given to a stream that is waited for', 'QOM-2', {}, async (fixture) => {
    const device = await fixture.device();
    const { stream, pool, address, release } = await heldFree(device);
    const other = await device.createStream();
    stream.waitEvent(other.recordEvent());
    assert.notEqual(await addressOf(other, pool), address);
    await release();
  }),

  conformanceCase('is given to anybody when the commands are done', 'QOM-2', {}, async (fixture) => {
    const device = await fixture.device();
    const { pool, address, release } = await heldFree(device);
    await release();
    assert.equal(await addressOf(await device.createStream(), pool), address);
  }),

  conformanceCase('waits for the commands of other streams that use the buffer', 'QOM-1', {}, async (fixture) => {
    const device = await fixture.device();
    const { stream: user, release } = await holdStream(device);
    const stream = await device.createStream();
    const pool = device.createMemoryPool({ memory: 'sram', releaseThreshold: 100 * MIB });
    const buffer = await stream.allocate(SEGMENT_BYTES, { pool });
    const { address } = buffer;
    void user.fill(buffer, 1, { bytes: 64 });
    stream.free(buffer);
    assert.notEqual(await addressOf(stream, pool), address);
    await release();
    assert.equal(await addressOf(stream, pool), address);
  }),

  conformanceCase('goes to everybody when its stream is closed', 'QOM-2', {}, async (fixture) => {
    const device = await fixture.device();
    const stream = await device.createStream();
    const pool = device.createMemoryPool({ memory: 'sram', releaseThreshold: MIB });
    const buffer = await stream.allocate(SEGMENT_BYTES, { pool });
    const { address } = buffer;
    fillAndFree(stream, buffer);
    await stream.close();
    assert.equal(await addressOf(device, pool), address);
    await rejectsWith('DEVICE_CLOSED', () => stream.allocate(BYTES));
  }),

  conformanceCase('counts what is freed but not passed', 'MEM-5', {}, async (fixture) => {
    const device = await fixture.device();
    const before = device.memoryStats().sram;
    const { release } = await heldFree(device);
    const during = device.memoryStats().sram;
    assert.equal(during.pending_free_bytes, SEGMENT_BYTES);
    await release();
    const after = device.memoryStats().sram;
    assert.equal(after.pending_free_bytes, 0);
    assert.equal(after.total_freed_bytes - before.total_freed_bytes, SEGMENT_BYTES);
  }),

  conformanceCase('waits for a queued free before memory counts as out', 'QOM-3', {}, async (fixture) => {
    const device = await fixture.device();
    const { stream, release } = await holdStream(device);
    const pool = device.createMemoryPool({ memory: 'sram' });
    const buffer = await wholeSram(device, stream, pool);
    const { bytes } = buffer;
    fillAndFree(stream, buffer);
    let settled = false;
    const next = device.allocate(bytes, { memory: 'sram' }).finally(() => {
      settled = true;
    });
    await device.defaultStream.synchronize();
    assert.equal(settled, false);
    await release();
    assert.equal((await next).bytes, bytes);
    assert.equal(device.memoryStats().sram.num_ooms, 0);
  }),

  conformanceCase(
    'waits for a buffer that is freed but in use before memory counts as out',
    'QOM-3',
    {},
    async (fixture) => {
      const device = await fixture.device();
      const { stream, release } = await holdStream(device);
      const [bytes] = device.memoryInfo('sram');
      const buffer = await device.allocate(bytes, { memory: 'sram' });
      void stream.fill(buffer, 1, { bytes: 64 });
      buffer.free();
      const next = device.allocate(bytes, { memory: 'sram' });
      await release();
      assert.equal((await next).bytes, bytes);
    },
  ),

  conformanceCase('gives nothing back on trim that a command may touch', 'QOM-4', {}, async (fixture) => {
    const device = await fixture.device();
    const { stream, release } = await holdStream(device);
    const pool = device.createMemoryPool();
    const buffer = await stream.allocate(BYTES, { pool });
    fillAndFree(stream, buffer);
    await pool.trim();
    assert.ok(pool.attributes.reservedMemCurrent >= BYTES, 'the segment stays');
    await release();
    await pool.trim();
    assert.equal(pool.attributes.reservedMemCurrent, 0);
  }),
]);

const pools = category('queue-ordered memory', {}, [
  conformanceCase('can be used by what is enqueued next', 'QOM-1', { requires: ['memory'] }, async (fixture) => {
    const device = await fixture.device();
    const { defaultStream: stream } = device;
    const data = fixture.random.bytes(BYTES);
    const back = new Uint8Array(BYTES);
    const buffer = await stream.allocate(BYTES);
    void stream.copyToDevice(buffer, data);
    void stream.copyToHost(back, buffer);
    stream.free(buffer);
    await stream.synchronize();
    equalBytes(back, data, 'the buffer');
  }),

  conformanceCase('refuses a buffer that a stream has freed', 'MEM-4', {}, async (fixture) => {
    const device = await fixture.device();
    const { defaultStream: stream } = device;
    const before = device.memoryStats().dram.num_allocs;
    const buffer = await stream.allocate(BYTES);
    stream.free(buffer);
    stream.free(buffer);
    buffer.free();
    await rejectsWith('DEVICE_CLOSED', stream.fill(buffer, 0));
    assert.equal(device.memoryStats().dram.num_allocs, before);
  }),

  conformanceCase('refuses a buffer of another device', 'MUL-2', {}, async (fixture) => {
    const [first, second] = [await fixture.device(), await fixture.device()];
    const buffer = await first.allocate(BYTES);
    await rejectsWith('INVALID_ARGUMENT', () => second.defaultStream.free(buffer));
    const pool = first.createMemoryPool();
    await rejectsWith('INVALID_ARGUMENT', () => second.allocate(BYTES, { pool }));
    assert.equal(buffer.freed, false);
  }),

  conformanceCase('is out at once where no free is queued', 'QOM-3', {}, async (fixture) => {
    const device = await fixture.device();
    const pool = device.createMemoryPool({ memory: 'sram' });
    const whole = await wholeSram(device, device.defaultStream, pool);
    await rejectsWith('OUT_OF_DEVICE_MEMORY', device.defaultStream.allocate(64, { pool }));
    device.defaultStream.free(whole);
    await device.defaultStream.allocate(64, { pool });
  }),

  conformanceCase('keeps as much reserve as the pool was told to', 'QOM-4', {}, async (fixture) => {
    const device = await fixture.device();
    const { defaultStream: stream } = device;
    for (const [releaseThreshold, kept] of [
      [0, 0],
      [3 * MIB, 2 * MIB],
    ] as const) {
      const pool = device.createMemoryPool({ memory: 'sram', releaseThreshold });
      const buffers = [await stream.allocate(2 * MIB, { pool }), await stream.allocate(2 * MIB, { pool })];
      for (const buffer of buffers) stream.free(buffer);
      await stream.synchronize();
      await pool.trim(4 * MIB);
      assert.equal(pool.attributes.reservedMemCurrent, kept);
    }
  }),

  conformanceCase('trims down to what it is told to keep', 'QOM-4', {}, async (fixture) => {
    const device = await fixture.device();
    const pool = device.createMemoryPool({ memory: 'sram', releaseThreshold: 100 * MIB });
    const [before] = device.memoryInfo('sram');
    const buffers: DeviceBuffer[] = [];
    for (let count = 0; count < 4; count++) buffers.push(await device.allocate(2 * MIB, { pool }));
    for (const buffer of buffers) buffer.free();
    assert.equal(pool.attributes.reservedMemCurrent, 8 * MIB);
    await pool.trim(5 * MIB);
    assert.equal(pool.attributes.reservedMemCurrent, 4 * MIB);
    await pool.trim();
    assert.deepEqual(device.memoryInfo('sram')[0], before);
  }),

  conformanceCase('says what a pool holds and has held', 'QOM-4', {}, async (fixture) => {
    const device = await fixture.device();
    const pool = device.createMemoryPool({ memory: 'sram' });
    const first = await device.allocate(1000, { pool });
    const second = await device.allocate(500, { pool });
    first.free();
    assert.deepEqual(pool.attributes, {
      releaseThreshold: 0,
      reservedMemCurrent: MIB,
      reservedMemHigh: MIB,
      usedMemCurrent: 500,
      usedMemHigh: 1500,
    });
    pool.resetPeakAttributes();
    assert.equal(pool.attributes.usedMemHigh, 500);
    second.free();
  }),

  conformanceCase('shares no segment between pools', 'QOM-4', {}, async (fixture) => {
    const device = await fixture.device();
    const [first, second] = [device.createMemoryPool(), device.createMemoryPool()];
    const mine = await device.allocate(64, { pool: first });
    const theirs = await device.allocate(64, { pool: second });
    const segmentOf = ({ address }: DeviceBuffer) =>
      device
        .snapshot()
        .segments.find(
          (segment) => BigInt(segment.address) <= address && address < segment.address + segment.total_size,
        );
    assert.equal(segmentOf(mine)?.pool, first.id);
    assert.equal(segmentOf(theirs)?.pool, second.id);
    await rejectsWith('INVALID_ARGUMENT', () => device.allocate(64, { pool: first, memory: 'sram' }));
  }),

  conformanceCase(
    'lets what a closed pool has given out live on',
    'QOM-4',
    { requires: ['memory'] },
    async (fixture) => {
      const device = await fixture.device();
      const { defaultStream: stream } = device;
      const pool = device.createMemoryPool({ memory: 'sram', releaseThreshold: 100 * MIB });
      const buffer = await device.allocate(BYTES, { pool });
      await pool.close();
      await pool.close();
      await rejectsWith('DEVICE_CLOSED', () => device.allocate(64, { pool }));
      const data = fixture.random.bytes(BYTES);
      const back = new Uint8Array(BYTES);
      void stream.copyToDevice(buffer, data);
      await stream.copyToHost(back, buffer);
      equalBytes(back, data, 'the buffer');
      buffer.free();
      assert.equal(device.memoryStats().sram.reserved_bytes, 0);
    },
  ),

  conformanceCase(
    'needs no more memory however often it is used again',
    'QOM-2',
    { requires: ['queues'] },
    async (fixture) => {
      const device = await fixture.device();
      const streams = [await device.createStream(), await device.createStream()];
      const reserved = device.memoryStats().dram.reserved_bytes;
      for (let round = 0; round < 500; round++) {
        const stream = streams[round % 2] as Stream;
        const buffer = await stream.allocate(fixture.random.integer(1, 100_000));
        void stream.fill(buffer, round, { bytes: 0 });
        stream.free(buffer);
        if (round % 50 === 0) await device.synchronize();
      }
      await device.synchronize();
      assert.equal(device.memoryStats().dram.reserved_bytes, Math.max(reserved, 16 * MIB));
    },
  ),
]);

export const queueOrderedMemoryCases = [...reuse, ...pools];
