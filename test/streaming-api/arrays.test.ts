/** Arrays whose memory is shared, moves away or shrinks, and copies that ask for less or more than there is. */
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import type { Device, DeviceBuffer, Stream } from '../../src/streaming-api/index.js';
import { openTestDevice } from './test-device.js';

let device: Device;
let other: Device;
let stream: Stream;
let buffer: DeviceBuffer;

beforeAll(async () => {
  device = await openTestDevice();
  other = await openTestDevice();
  stream = device.defaultStream;
  buffer = await device.allocate(64);
});
afterEach(() => stream.synchronize().catch(() => undefined));
afterAll(async () => {
  await Promise.all([device.close(), other.close()]);
});

const detached = (Type: new (buffer: ArrayBuffer) => ArrayBufferView) => {
  const array = new Type(new ArrayBuffer(64));
  structuredClone(array.buffer, { transfer: [array.buffer as ArrayBuffer] });
  return array;
};
/** Of ES2024, for which this project is not compiled. */
type Resizable = ArrayBuffer & { resize(bytes: number): void };
const ResizableBuffer = ArrayBuffer as unknown as new (
  bytes: number,
  options: { readonly maxByteLength: number },
) => Resizable;
const numbers = (count: number): Uint8Array => Uint8Array.from({ length: count }, (_, index) => index + 1);

it.each([Uint8Array, Float64Array, DataView])('refuses a %o whose buffer was transferred', async (Type) => {
  const lost = { code: 'INVALID_ARGUMENT', message: expect.stringContaining('transferred') };
  await expect(stream.copyToDevice(buffer, detached(Type))).rejects.toMatchObject(lost);
  await expect(stream.copyToHost(detached(Type), buffer)).rejects.toMatchObject(lost);
  await expect(stream.copyList([{ destination: buffer, source: detached(Type) }])).rejects.toMatchObject(lost);
});

it('fails by name, the stream too, where the destination is transferred before its bytes arrive', async () => {
  const destination = new Uint8Array(64);
  const copied = stream.copyToHost(destination, buffer);
  structuredClone(destination.buffer, { transfer: [destination.buffer] });
  await expect(copied).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  await expect(stream.synchronize()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  await expect(stream.fill(buffer, 0)).resolves.toBeDefined();
});

it('fails by name where the destination shrinks before its bytes arrive', async () => {
  const memory = new ResizableBuffer(64, { maxByteLength: 64 });
  const copied = stream.copyToHost(new Uint8Array(memory), buffer);
  memory.resize(8);
  await expect(copied).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  const rows = new ResizableBuffer(64, { maxByteLength: 64 });
  const copiedRows = stream.copyToHost(new Uint8Array(rows), buffer, { rows: 4, bytes: 4, destinationStride: 16 });
  rows.resize(8);
  await expect(copiedRows).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
});

it('takes arrays over shared and resizable memory, and views of no type', async () => {
  const shared = new Uint8Array(new SharedArrayBuffer(64));
  shared.set(numbers(64));
  await stream.copyToDevice(buffer, shared);
  const view = new DataView(new ResizableBuffer(64, { maxByteLength: 128 }));
  await stream.copyToHost(view, buffer);
  expect(new Uint8Array(view.buffer)).toEqual(numbers(64));
});

it('copies rows to another device as it does on one', async () => {
  const theirs = await other.allocate(32);
  await stream.copyToDevice(buffer, numbers(64));
  await other.defaultStream.fill(theirs, 0);
  await stream.copyToPeer(other.defaultStream, theirs, buffer, {
    ...{ rows: 4, bytes: 4, sourceStride: 16, destinationStride: 8 },
  });
  const result = new Uint8Array(32);
  await other.defaultStream.copyToHost(result, theirs);
  const row = (first: number): number[] => [first, first + 1, first + 2, first + 3];
  expect([...result]).toEqual([1, 17, 33, 49].flatMap((first) => [...row(first), 0, 0, 0, 0]));
});

it('ends a copy to another device by its signal, and writes nothing that it has not read', async () => {
  const theirs = await other.allocate(64);
  await other.defaultStream.fill(theirs, 0x0b0b0b0b);
  const copied = stream.copyToPeer(other.defaultStream, theirs, buffer, { signal: AbortSignal.abort('no') });
  await expect(copied).rejects.toMatchObject({ code: 'ABORTED', cause: 'no' });
  await other.defaultStream.synchronize().catch(() => undefined);
  const result = new Uint8Array(64);
  await other.defaultStream.copyToHost(result, theirs);
  expect([...result]).toEqual(new Array(64).fill(0x0b));
});

it('listens to a signal where no byte or a compressed one is copied', async () => {
  const signal = AbortSignal.abort('no');
  const aborted = { code: 'ABORTED', cause: 'no' };
  await expect(stream.copyToDevice(buffer, new Uint8Array(), { signal })).rejects.toMatchObject(aborted);
  await expect(stream.copyToHost(new Uint8Array(), buffer, { signal })).rejects.toMatchObject(aborted);
  const zip = stream.copyToDevice(buffer, numbers(20), { decompress: 'gzip', signal });
  await expect(zip).rejects.toMatchObject(aborted);
});
