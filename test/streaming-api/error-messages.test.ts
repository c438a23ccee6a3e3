/** What the API refuses before anything is sent: the message has the value at fault, and what to give instead. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createExecutor, Device, type DeviceBuffer } from '../../src/streaming-api/index.js';
import { ONE_PE, openTestDevice } from './test-device.js';

let device: Device;
let buffer: DeviceBuffer;
const host = new Uint8Array(64);
/** What a program passes that no compiler has checked. */
const never = undefined as never;

beforeAll(async () => {
  device = await openTestDevice();
  buffer = await device.allocate(64);
});
afterAll(() => device.close());

type Call = (device: Device, buffer: DeviceBuffer) => unknown;

const REFUSED: readonly (readonly [message: string, call: Call])[] = [
  ['an allocation of 0 bytes; give a whole number from 1', (on) => on.allocate(0)],
  ['an allocation of -1 bytes of host memory; give a whole number from 1', (on) => on.allocateHost(-1)],
  [
    'a copy of -8 bytes; give a whole number from 0',
    (on, to) => on.defaultStream.copyToDevice(to, host, { bytes: -8 }),
  ],
  [
    '65 bytes at offset 0 leave the destination of 64 bytes',
    (on, to) => on.defaultStream.copyToDevice(to, new Uint8Array(65)),
  ],
  [
    'rows is 1.5; give a whole number from 0',
    (on, to) => on.defaultStream.copyToDevice(to, host, { rows: 1.5, bytes: 8 }),
  ],
  [
    'bytes is undefined; a copy of rows needs the bytes of one row',
    (on, to) => on.defaultStream.copyToDevice(to, host, { rows: 2 }),
  ],
  [
    'sourceStride is 4, less than a row of 8 bytes',
    (on, to) => on.defaultStream.copyToDevice(to, host, { rows: 2, bytes: 8, sourceStride: 4 }),
  ],
  [
    'destinationOffset is -8, destinationStride 8; give whole numbers of bytes from 0',
    (on, to) => on.defaultStream.copyToDevice(to, host, { rows: 2, bytes: 8, destinationOffset: -8 }),
  ],
  [
    'a copy needs a device buffer on one side; between host memories use set()',
    (on) => on.defaultStream.copyList([{ destination: host, source: host } as never]),
  ],
  [
    'a rectangle of 300 x 1 processing elements at 0, 0; give whole numbers from 0 to 255',
    (on) => on.defaultStream.launch(on.kernel('fully_connected'), { grid: { columns: 300, rows: 1 } }),
  ],
  [
    'deadlineMs is -1; give a positive number of milliseconds',
    (on) => on.defaultStream.launch(on.kernel('fully_connected'), { grid: ONE_PE, deadlineMs: -1 }),
  ],
  [
    'deadlineMs is 5; give a positive number of milliseconds',
    (on) => on.defaultStream.launch(on.kernel('null'), { grid: ONE_PE, deadlineMs: '5' as never }),
  ],
  [
    'deadlineMs is 5000000; a device takes 4294967 at most, or none',
    (on) => on.defaultStream.launch(on.kernel('null'), { grid: ONE_PE, deadlineMs: 5e6 }),
  ],
  [
    'a launch needs a grid: { grid: { columns: 1, rows: 1 } }',
    (on) => on.defaultStream.launch(on.kernel('null'), never),
  ],
  [
    'a launch takes what device.kernel(name) gives, got null',
    (on) => on.defaultStream.launch('null' as never, { grid: ONE_PE }),
  ],
  [
    'launch argument 0 is null; pass an integer, a DeviceBuffer or f32(value)',
    (on) => on.defaultStream.launch(on.kernel('null'), { grid: ONE_PE }, [null as never]),
  ],
  ['expected a buffer of the device, got undefined', (on) => on.defaultStream.copyToDevice(never, host)],
  ['expected a buffer or a typed array, got 1,2', (on, to) => on.defaultStream.copyToDevice(to, [1, 2] as never)],
  ['pattern is NaN; give an integer of 32 bits', (on, to) => on.defaultStream.fill(to, Number.NaN)],
  ['there is no memory "hbm"; there are lpddr and sram', (on) => on.createMemoryPool({ memory: 'hbm' as never })],
  ['a model is the path of a file or a compiled graph, got undefined', (on) => on.loadModel(never)],
  ['a model is the path of a file or a compiled graph, got null', () => createExecutor(null as never)],
  ['generation is "3"; give v1 or 2i', () => Device.open({ generation: '3' as never })],
  ['threads is 1.5; give a whole number from 1', () => Device.open({ threads: 1.5 })],
  ['deadlineMs is -1; give a positive number of milliseconds', () => Device.open({ deadlineMs: -1 })],
  ['Device.open takes an object of options, got 2i', () => Device.open('2i' as never)],
  ['pci is no PciFunction; give a card that implements all of it', () => Device.open({ pci: {} as never })],
  [
    'deadlineMs is 0; give a positive number of milliseconds',
    async (on) => (await on.createTimeline()).wait(1, { deadlineMs: 0 }),
  ],
];

it.each(REFUSED)('%s', async (message, call) => {
  await expect((async () => call(device, buffer))()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', message });
});

it('names a kernel that the firmware lacks, and those that it has', () => {
  expect(() => device.kernel('no such')).toThrow(/has no kernel "no such"; it has .*fully_connected/i);
});

it('starts no thread of an executor for which the card has no queue', async () => {
  await expect(createExecutor('examples/films-dlrm/model.pt2', { threads: 1000 })).rejects.toMatchObject({
    code: 'TOO_MANY',
    message: expect.stringMatching(/^threads is 1000; emulated MTIA 2i has queues for \d+$/),
  });
});
