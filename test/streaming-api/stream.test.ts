import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Device, Event, f32, type Rectangle, type Stream } from '../../src/streaming-api/index.js';
import { ONE_PE, openTestDevice } from './test-device.js';

let device: Device;
let stream: Stream;

beforeAll(async () => {
  device = await openTestDevice();
  stream = await device.createStream();
});
afterAll(() => device.close());

const random = (bytes: number): Uint8Array => Uint8Array.from({ length: bytes }, () => Math.floor(Math.random() * 256));

describe('copies', () => {
  it.each([1, 63, 64, 4095, 4096, 4097, 65_537, 3_000_000])('move %i bytes there and back', async (bytes) => {
    const data = random(bytes);
    using source = await device.allocate(bytes);
    using destination = await device.allocate(bytes, { memory: 'sram' });
    const result = new Uint8Array(bytes);
    stream.copyToDevice(source, data);
    stream.copy(destination, source);
    await stream.copyToHost(result, destination);
    expect(Buffer.compare(result, data)).toBe(0);
  });

  it('move the range that they are told to, and nothing else', async () => {
    const size = 256;
    using buffer = await device.allocate(size);
    const range = fc.record({
      offset: fc.nat(size),
      sourceOffset: fc.nat(size),
      bytes: fc.nat(size),
      pinned: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(range, async ({ offset, sourceOffset, bytes, pinned }) => {
        const fits = offset + bytes <= size && sourceOffset + bytes <= size;
        const data = random(size);
        using host = device.allocateHost(size);
        host.view.set(data);
        await stream.fill(buffer, 0xeeee_eeee);
        const options = { destinationOffset: offset, sourceOffset, bytes };
        const copied = stream.copyToDevice(buffer, pinned ? host : data, options);
        if (!fits) {
          await expect(copied).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
          await expect(stream.synchronize()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
          return;
        }
        const expected = new Uint8Array(size).fill(0xee);
        expected.set(data.subarray(sourceOffset, sourceOffset + bytes), offset);
        const result = pinned ? device.allocateHost(size) : new Uint8Array(size);
        await stream.copyToHost(result, buffer);
        expect('view' in result ? result.view : result).toEqual(expected);
      }),
      { numRuns: 60 },
    );
  });

  it('take an array as it is at the call', async () => {
    using buffer = await device.allocate(16);
    const data = new Float32Array([1, 2, 3, 4]);
    stream.copyToDevice(buffer, data);
    data.fill(0);
    const result = new Float32Array(4);
    await stream.copyToHost(result, buffer);
    expect([...result]).toEqual([1, 2, 3, 4]);
  });

  it('give pinned memory back', async () => {
    const before = device.memoryStats().pinned.allocated_bytes;
    using buffer = await device.allocate(1 << 16);
    const data = new Uint8Array(1 << 16);
    for (let count = 0; count < 20; count++) stream.copyToDevice(buffer, data);
    await stream.copyToHost(data, buffer);
    await stream.synchronize();
    expect(device.memoryStats().pinned.allocated_bytes).toBe(before);
  });

  it('fill with a pattern, whole words only', async () => {
    using buffer = await device.allocate(64);
    const result = new Uint32Array(16);
    stream.fill(buffer, 0xdead_beef);
    stream.fill(buffer, -1, { offset: 8, bytes: 4 });
    await stream.copyToHost(result, buffer);
    expect(result[0]).toBe(0xdead_beef);
    expect(result[2]).toBe(0xffff_ffff);
    expect(result[3]).toBe(0xdead_beef);
    await expect(stream.fill(buffer, 0, { bytes: 3 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(stream.synchronize()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});

describe('launch', () => {
  it('hands arguments to every processing element of the rectangle', async () => {
    using buffer = await device.allocate(64 * 8);
    const result = new BigUint64Array(12);
    await stream.launch(device.kernel('record'), { grid: { column: 2, row: 5, columns: 4, rows: 3 } }, [buffer, 1000]);
    await stream.copyToHost(result, buffer);
    expect([...result]).toEqual(Array.from({ length: 12 }, (_, index) => BigInt(1000 + index)));
  });

  it('keeps the arguments of many launches in flight apart', async () => {
    const launches = 500;
    using buffer = await device.allocate(launches * 8);
    const record = device.kernel('record');
    for (let index = 0; index < launches; index++) {
      stream.launch(record, { grid: ONE_PE }, [buffer.address + BigInt(index * 8), index * 3]);
    }
    const result = new BigUint64Array(launches);
    await stream.copyToHost(result, buffer);
    expect([...result]).toEqual(Array.from({ length: launches }, (_, index) => BigInt(index * 3)));
  });

  it.each([
    ['an integer', 7, 7n],
    ['a negative integer', -2, 2n ** 64n - 2n],
    ['an integer beyond 32 bits', 2 ** 40 + 5, 2n ** 40n + 5n],
    ['a bigint', 2n ** 63n, 2n ** 63n],
    ['a float', f32(0.5), 0x3f00_0000n],
  ])('encodes %s', async (_, argument, expected) => {
    using buffer = await device.allocate(8);
    const result = new BigUint64Array(1);
    await stream.launch(device.kernel('record'), { grid: ONE_PE }, [buffer, argument]);
    await stream.copyToHost(result, buffer);
    expect(result[0]).toBe(expected);
  });

  it('takes an argument structure as bytes', async () => {
    using buffer = await device.allocate(8);
    const words = new BigUint64Array([buffer.address, 99n]);
    const result = new BigUint64Array(1);
    await stream.launch(device.kernel('record'), { grid: ONE_PE }, new Uint8Array(words.buffer));
    await stream.copyToHost(result, buffer);
    expect(result[0]).toBe(99n);
  });

  it.each([
    ['a fraction', [0.5]],
    ['too many words', new Array<number>(65).fill(0)],
    ['half a word', new Uint8Array(12)],
  ])('refuses %s as arguments', async (_, args) => {
    await expect(stream.launch(device.kernel('null'), { grid: ONE_PE }, args)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    await expect(stream.synchronize()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('gives the place of its arguments back once when it is refused', async () => {
    using buffer = await device.allocate(8 * 8);
    const record = device.kernel('record');
    for (let count = 0; count < 8; count++) {
      stream.launch(record, { grid: { columns: -1, rows: 1 } }, [buffer, 0]);
      stream.launch(record, { grid: ONE_PE, deadlineMs: -1 }, [buffer, 0]);
    }
    for (let index = 0; index < 8; index++) {
      stream.launch(record, { grid: ONE_PE }, [buffer.address + BigInt(index * 8), index + 1]);
    }
    const result = new BigUint64Array(8);
    await stream.copyToHost(result, buffer);
    expect([...result]).toEqual([1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n]);
    await expect(stream.synchronize()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it.each([
    ['outside the grid', { column: 7, columns: 2, rows: 1 }],
    ['empty', { columns: 0, rows: 1 }],
  ])('reports a rectangle that is %s', async (_, grid) => {
    await expect(stream.launch(device.kernel('null'), { grid })).rejects.toMatchObject({ code: 'INVALID_GRID' });
    await expect(stream.synchronize()).rejects.toMatchObject({ code: 'INVALID_GRID' });
  });

  it('ends an endless kernel at its deadline, and runs the next', async () => {
    const start = performance.now();
    const endless = stream.launch(device.kernel('endless'), { grid: { columns: 8, rows: 8 }, deadlineMs: 50 });
    const next = stream.launch(device.kernel('null'), { grid: { columns: 8, rows: 8 } });
    await expect(endless).rejects.toMatchObject({ code: 'KERNEL_TIMEOUT', place: { kernel: 261 } });
    expect(performance.now() - start).toBeLessThan(5000);
    await expect(next).resolves.toMatchObject({ jobs: 1 });
    await expect(stream.synchronize()).rejects.toMatchObject({ code: 'KERNEL_TIMEOUT' });
    await expect(stream.synchronize()).resolves.toBeUndefined();
  });

  it.each([
    ['out_of_bounds', [8], 'MEMORY_PROTECTION'],
    ['dma_out_of_bounds', [8], 'MEMORY_PROTECTION'],
    ['bad_grid', [3], 'INVALID_GRID', { columns: 2, rows: 1 }],
    ['return_value', [77], 'KERNEL_ERROR'],
    ['deadlock', [], 'DEADLOCK'],
    ['illegal_command', [], 'ILLEGAL_UNIT_COMMAND'],
    ['illegal_instruction', [], 'KERNEL_FAULT'],
    ['stack_overflow', [1_000_000], 'MEMORY_PROTECTION'],
    ['one_pe_fails', [3], 'INVALID_COMMAND', { columns: 8, rows: 8 }],
  ] as const)(
    'names the failure of %s, and the device goes on',
    async (name, args, expected, grid: Rectangle = ONE_PE) => {
      const failed = stream.launch(device.kernel(name), { grid }, args);
      await expect(failed).rejects.toMatchObject({ code: expected });
      await expect(stream.synchronize()).rejects.toMatchObject({ code: expected });
      await expect(stream.launch(device.kernel('null'), { grid: { columns: 8, rows: 8 } })).resolves.toBeDefined();
    },
  );
});

describe('Stream', () => {
  it('runs its commands one after the other', async () => {
    using word = await device.allocate(8);
    stream.fill(word, 0);
    for (let count = 0; count < 20; count++) stream.launch(device.kernel('add_one'), { grid: ONE_PE }, [word, 50]);
    const result = new BigUint64Array(1);
    await stream.copyToHost(result, word);
    expect(result[0]).toBe(1000n);
  });

  it('says whether work is outstanding', async () => {
    const done = stream.launch(device.kernel('null'), { grid: ONE_PE });
    expect(stream.query()).toBe(false);
    await done;
    expect(stream.query()).toBe(true);
  });

  it('waits for its work when it is closed, then refuses', async () => {
    const closing = await device.createStream();
    const done = closing.launch(device.kernel('null'), { grid: ONE_PE });
    const closed = closing.close();
    await expect(closing.launch(device.kernel('null'), { grid: ONE_PE })).rejects.toMatchObject({
      code: 'DEVICE_CLOSED',
    });
    await expect(done).resolves.toBeDefined();
    await closed;
    expect(() => closing.recordEvent()).toThrow(expect.objectContaining({ code: 'DEVICE_CLOSED' }));
    await closing.close();
  });

  it('reports device time and jobs of every command', async () => {
    using buffer = await device.allocate(1 << 20);
    const launched = await stream.launch(device.kernel('null'), { grid: ONE_PE });
    const filled = await stream.fill(buffer, 0);
    expect(launched).toMatchObject({ jobs: 1 });
    expect(launched.deviceUs).toBeGreaterThan(0);
    expect(filled.deviceUs).toBeGreaterThan(0);
  });
});

describe('events', () => {
  it('order work across streams', async () => {
    await using other = await device.createStream();
    using words = await device.allocate(16);
    for (let round = 0; round < 10; round++) {
      // Without the events, additions that overlap would be lost, or read before they are made.
      stream.fill(words, 0);
      stream.launch(device.kernel('add_one'), { grid: ONE_PE }, [words, 200]);
      other.waitEvent(stream.recordEvent());
      other.launch(device.kernel('add_one'), { grid: { column: 3, columns: 1, rows: 1 } }, [words, 200]);
      stream.waitStream(other);
      const result = new BigUint64Array(1);
      await stream.copyToHost(result, words, { bytes: 8 });
      expect(result[0]).toBe(400n);
    }
  });

  it('hold a stream up until another gets there, and abort it where that has failed', async () => {
    await using other = await device.createStream();
    const order: string[] = [];
    const slow = stream.launch(device.kernel('endless'), { grid: ONE_PE, deadlineMs: 60 });
    const event = stream.recordEvent();
    other.waitEvent(event);
    const fast = other.launch(device.kernel('null'), { grid: { column: 1, columns: 1, rows: 1 } });
    const done = [slow.catch(() => order.push('slow')), fast.catch((error) => order.push(error.code))];
    expect(event.query()).toBe(false);
    await Promise.all(done);
    expect(order).toEqual(['slow', 'ABORTED']);
    expect(event.query()).toBe(true);
    await expect(stream.synchronize()).rejects.toMatchObject({ code: 'KERNEL_TIMEOUT' });
    await expect(other.synchronize()).rejects.toMatchObject({ code: 'ABORTED' });
  });

  it('carry a failure to those who wait, and to nobody else', async () => {
    await using waiting = await device.createStream();
    await using independent = await device.createStream();
    stream.launch(device.kernel('return_value'), { grid: ONE_PE }, [77]);
    const event = new Event().record(stream);
    event.wait(waiting);
    await expect(event.synchronize()).rejects.toMatchObject({ code: 'KERNEL_ERROR' });
    await expect(waiting.synchronize()).rejects.toMatchObject({ code: 'ABORTED', cause: { code: 'KERNEL_ERROR' } });
    await expect(waiting.synchronize()).resolves.toBeUndefined();
    await expect(independent.synchronize()).resolves.toBeUndefined();
    await expect(stream.synchronize()).rejects.toMatchObject({ code: 'KERNEL_ERROR' });
    await expect(stream.recordEvent().synchronize()).resolves.toBeUndefined();
  });

  it('measure time on the host and on the device', async () => {
    const start = stream.recordEvent();
    const launched = stream.launch(device.kernel('null'), { grid: ONE_PE });
    const end = stream.recordEvent();
    await end.synchronize();
    expect(start.elapsedTime(end)).toBeGreaterThan(0);
    expect(start.elapsedDeviceUs(end)).toBeCloseTo((await launched).deviceUs, 6);
    await using other = await device.createStream();
    const foreign = other.recordEvent();
    await foreign.synchronize();
    expect(() => start.elapsedDeviceUs(foreign)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });

  it('that were never recorded are reached, and measure nothing', async () => {
    const event = new Event();
    expect(event.query()).toBe(true);
    stream.waitEvent(event);
    await event.synchronize();
    expect(() => event.deviceUs).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });

  it('may be recorded again, and stay good after their stream', async () => {
    const short = await device.createStream();
    const event = short.recordEvent();
    const first = event.recording;
    short.recordEvent(event);
    expect(event.recording).not.toBe(first);
    await short.close();
    stream.waitEvent(event);
    await event.synchronize();
    await stream.launch(device.kernel('null'), { grid: ONE_PE });
  });
});

describe('a stream that broke', () => {
  it('releases those who wait for it, keeps its memory from others, and gives its processing elements back', async () => {
    await using hasty = await openTestDevice({ deadlineMs: 250 });
    const broken = await hasty.createStream();
    await using waiting = await hasty.createStream();
    using buffer = await hasty.allocate(4096);
    const allocated = hasty.memoryStats().dram.allocated_bytes;
    const endless = broken.launch(hasty.kernel('endless'), { grid: ONE_PE });
    const behind = broken.fill(buffer, 0);
    waiting.waitEvent(broken.recordEvent());
    const after = waiting.launch(hasty.kernel('null'), { grid: { column: 1, columns: 1, rows: 1 } });
    await expect(endless).rejects.toMatchObject({ code: 'DEVICE_TIMEOUT' });
    await expect(behind).rejects.toMatchObject({ code: 'ABORTED' });
    await expect(after).rejects.toMatchObject({ code: 'ABORTED', cause: { code: 'DEVICE_TIMEOUT' } });
    await expect(waiting.synchronize()).rejects.toMatchObject({ code: 'ABORTED' });
    await expect(broken.launch(hasty.kernel('null'), { grid: ONE_PE })).rejects.toMatchObject({ code: 'ABORTED' });
    await broken.close();
    buffer.free();
    expect(hasty.memoryStats().dram.allocated_bytes).toBe(allocated);
    await expect(waiting.launch(hasty.kernel('null'), { grid: { columns: 8, rows: 8 } })).resolves.toBeDefined();
  });
});
