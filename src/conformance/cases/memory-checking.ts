/** Checking mode: who damages memory is found, and named. */
import assert from 'node:assert/strict';
import { HOST_COMMAND } from '../../hw/index.js';
import type { AllocationOptions, Device, MemoryReport } from '../../streaming-api/index.js';
import { category, conformanceCase } from '../case.js';
import { equalBytes, rejectsWith } from '../expectations.js';
import type { Fixture } from '../fixture.js';

const BYTES = 1000;
const GRID = { columns: 1, rows: 1 };
const THIS_FILE = 'memory-checking';

async function open(fixture: Fixture): Promise<{ readonly device: Device; readonly reports: MemoryReport[] }> {
  const reports: MemoryReport[] = [];
  const device = await fixture.device({ checkMemory: { onReport: (report) => reports.push(report) } });
  return { device, reports };
}

/** Writes where the API would not let a program write. */
async function fillAt(device: Device, address: bigint, bytes: number): Promise<void> {
  await device.defaultStream.commands.submit({ opcode: HOST_COMMAND.FILL, a: 7, b: address, c: bytes });
}

function expectReport(report: MemoryReport | undefined, expected: Partial<MemoryReport>): void {
  assert.ok(report !== undefined, 'nothing was reported');
  const found = Object.fromEntries(Object.keys(expected).map((key) => [key, report[key as keyof MemoryReport]]));
  assert.deepEqual(found, expected);
  assert.ok(report.allocatedAt.includes(THIS_FILE), `the stack does not name this file:\n${report.allocatedAt}`);
}

const strays = [
  { where: 'behind', from: BYTES, offset: BYTES },
  { where: 'in front of', from: -8, offset: -8 },
].map(({ where, from, offset }) =>
  conformanceCase(
    `finds what a kernel writes ${where} a buffer`,
    'MEM-7',
    { requires: ['kernels'] },
    async (fixture) => {
      const { device } = await open(fixture);
      const { defaultStream: stream } = device;
      const buffer = await device.allocate(BYTES);
      await stream.fill(buffer, 0);
      assert.deepEqual(await device.checkMemory(), []);
      await stream.launch(device.kernel('OUT_OF_BOUNDS'), { grid: GRID }, [buffer.address + BigInt(from)]);
      const [report, ...more] = await device.checkMemory();
      assert.deepEqual(more, []);
      expectReport(report, {
        fault: 'write outside of the allocation',
        address: buffer.address,
        bytes: BYTES,
        offset,
      });
      assert.ok(
        report?.commands.some((command) => command.endsWith('LAUNCH OUT_OF_BOUNDS')),
        `the kernel is not among ${report?.commands}`,
      );
      assert.deepEqual(await device.checkMemory(), [], 'a fault is reported once');
    },
  ),
);

const REFUSED: readonly (readonly [bytes: unknown, options: unknown])[] = [
  [0, {}],
  [1.5, {}],
  ['64', {}],
  [64, null],
  [64, { alignment: 3 }],
  [64, { memory: 'flash' }],
  [64, { pool: null }],
];

export const memoryCheckingCases = category('memory manager', { requires: ['memory', 'queues'] }, [
  ...strays,

  conformanceCase('refuses the allocations that are refused without it', 'MEM-7', {}, async (fixture) => {
    const { device } = await open(fixture);
    const before = device.memoryStats().dram.allocated_bytes;
    for (const [bytes, options] of REFUSED) {
      await rejectsWith('INVALID_ARGUMENT', device.allocate(bytes as number, options as AllocationOptions));
    }
    assert.equal(device.memoryStats().dram.allocated_bytes, before);
  }),

  conformanceCase('finds a copy that ends too late when the buffer is freed', 'MEM-7', {}, async (fixture) => {
    const { device, reports } = await open(fixture);
    const buffer = await device.allocate(64);
    await fillAt(device, buffer.address + 32n, 64);
    buffer.free();
    await device.checkMemory();
    expectReport(reports[0], { fault: 'write outside of the allocation', offset: 64 });
    assert.ok(reports[0]?.freedAt?.includes(THIS_FILE));
  }),

  conformanceCase('finds a write to memory that was freed', 'MEM-7', {}, async (fixture) => {
    const { device } = await open(fixture);
    const buffer = await device.allocate(BYTES);
    const { address } = buffer;
    buffer.free();
    assert.deepEqual(await device.checkMemory(), []);
    await fillAt(device, address + 16n, 4);
    const [report] = await device.checkMemory();
    expectReport(report, { fault: 'write after free', address, offset: 16 });
    assert.ok(report?.freedAt?.includes(THIS_FILE));
  }),

  conformanceCase('finds a copy out of memory that nobody has written', 'MEM-7', {}, async (fixture) => {
    const { device, reports } = await open(fixture);
    const { defaultStream: stream } = device;
    const buffer = await device.allocate(BYTES);
    await stream.fill(buffer, 0, { bytes: 400 });
    await stream.copyToHost(new Uint8Array(400), buffer);
    assert.deepEqual(reports, []);
    await stream.copyToHost(new Uint8Array(BYTES), buffer);
    expectReport(reports[0], { fault: 'read of memory never written', offset: 400 });
  }),

  conformanceCase('looks at memory a last time when the device closes', 'MEM-7', {}, async (fixture) => {
    const { device, reports } = await open(fixture);
    const buffer = await device.allocate(BYTES);
    await fillAt(device, buffer.address - 4n, 4);
    await device.close();
    expectReport(reports[0], { fault: 'write outside of the allocation', offset: -4 });
  }),

  conformanceCase('has nothing to say of a program without faults', 'MEM-7', {}, async (fixture) => {
    const { device, reports } = await open(fixture);
    const { defaultStream: stream } = device;
    for (let round = 0; round < 20; round++) {
      const bytes = fixture.random.integer(1, 5000);
      const alignment = fixture.random.pick([64, 4096]);
      const data = fixture.random.bytes(bytes);
      const buffer = await (round % 2 === 0 ? device : stream).allocate(bytes, { alignment });
      assert.equal(buffer.address % BigInt(alignment), 0n);
      void stream.copyToDevice(buffer, data);
      const back = new Uint8Array(bytes);
      const copied = stream.copyToHost(back, buffer);
      if (round % 2 === 0) buffer.free();
      else stream.free(buffer);
      await copied;
      equalBytes(back, data, `round ${round}`);
    }
    assert.deepEqual(await device.checkMemory(), []);
    await device.close();
    assert.deepEqual(reports, []);
  }),

  conformanceCase('says who freed a buffer that is used again', 'MEM-4', {}, async (fixture) => {
    const { device } = await open(fixture);
    const buffer = await device.allocate(BYTES);
    buffer.free();
    const error = await rejectsWith('DEVICE_CLOSED', device.defaultStream.fill(buffer, 0));
    assert.ok(error.message.includes(THIS_FILE), error.message);
  }),

  conformanceCase('gives freed memory back before it counts as out', 'MEM-2', {}, async (fixture) => {
    const { device } = await open(fixture);
    for (let round = 0; round < 6; round++) {
      const [free] = device.memoryInfo('sram');
      const bytes = round === 0 ? Math.floor(free / 3) : 24 * 1024 * 1024;
      (await device.allocate(bytes, { memory: 'sram' })).free();
    }
    assert.deepEqual(await device.checkMemory(), []);
  }),

  conformanceCase('is refused where the device was opened without it', 'NEG-1', {}, async (fixture) => {
    const device = await fixture.device();
    await rejectsWith('INVALID_ARGUMENT', device.checkMemory());
  }),
]);
