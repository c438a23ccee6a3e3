/** Kernel launches: arguments, rectangles, isolation, order. */
import assert from 'node:assert/strict';
import { encodeRectangle, HOST_COMMAND, JOB_ARGUMENT_WORDS, type Rectangle } from '../../hw/index.js';
import { category, conformanceCase } from '../case.js';
import { equalBytes, rejectsWith } from '../expectations.js';
import { ONE_PE, PAGE_BYTES, WHOLE_GRID } from '../session.js';

const GRID = 8;

/** Rectangles worth a look: corners, edges, rows, columns, the whole. */
const RECTANGLES: readonly Rectangle[] = [
  ONE_PE,
  { column: 7, row: 0, columns: 1, rows: 1 },
  { column: 0, row: 7, columns: 1, rows: 1 },
  { column: 7, row: 7, columns: 1, rows: 1 },
  { column: 0, row: 3, columns: 8, rows: 1 },
  { column: 5, row: 0, columns: 1, rows: 8 },
  { column: 1, row: 2, columns: 3, rows: 5 },
  { column: 4, row: 4, columns: 4, rows: 4 },
  WHOLE_GRID,
];

const place = ({ column, row, columns, rows }: Rectangle): string => `${columns} x ${rows} at ${column}, ${row}`;

const rectangles = RECTANGLES.map((rectangle) =>
  conformanceCase(`runs on ${place(rectangle)} and nowhere else`, 'LCH-2', {}, async (fixture) => {
    const session = await fixture.session();
    const count = rectangle.columns * rectangle.rows;
    await session.fill(session.memory, 65 * 8, 0xffff_ffff);
    await session.launch('RECORD', [session.memory, 500n], { rectangle });
    const words = await session.readWords(session.memory, 65);
    const expected = words.map((_, index) => (index < count ? BigInt(500 + index) : (1n << 64n) - 1n));
    assert.deepEqual(words, expected);
  }),
);

const offTheGrid = (
  [
    ['an empty one', { column: 0, row: 0, columns: 0, rows: 1 }],
    ['one without rows', { column: 0, row: 0, columns: 1, rows: 0 }],
    ['one that leaves the grid to the right', { column: 7, row: 0, columns: 2, rows: 1 }],
    ['one that leaves the grid at the bottom', { column: 0, row: 7, columns: 1, rows: 2 }],
    ['one that begins outside', { column: 8, row: 0, columns: 1, rows: 1 }],
    ['one that wraps around', { column: 255, row: 0, columns: 2, rows: 1 }],
    ['the largest there is', { column: 255, row: 255, columns: 255, rows: 255 }],
  ] as const
).map(([what, rectangle]) =>
  conformanceCase(`refuses a rectangle: ${what}`, 'LCH-2', {}, async (fixture) => {
    const session = await fixture.session();
    await rejectsWith('INVALID_GRID', session.launch('NULL', [], { rectangle }));
    await session.expectWorking();
  }),
);

const wrongArguments = (
  [
    ['that are no whole words', 0n, 12, 'INVALID_COMMAND'],
    ['of more than 512 bytes', 0n, 520, 'INVALID_COMMAND'],
    ['at an odd address', 4n, 8, 'INVALID_COMMAND'],
  ] as const
).map(([what, offset, bytes, code]) =>
  conformanceCase(`refuses arguments ${what}`, 'LCH-1', {}, async (fixture) => {
    const session = await fixture.session();
    const launch = { opcode: HOST_COMMAND.LAUNCH, a: session.kernel('NULL'), b: session.memory + offset, c: bytes };
    await rejectsWith(code, session.submit({ ...launch, d: encodeRectangle(ONE_PE) }));
    await session.expectWorking(ONE_PE);
  }),
);

export const launchCases = category('kernel launch', { requires: ['kernels'] }, [
  conformanceCase('launches a kernel that does nothing', 'LCH-2', {}, async (fixture) => {
    const session = await fixture.session();
    const record = await session.launch('NULL', [], { rectangle: WHOLE_GRID });
    assert.equal(record.jobs, 1);
    assert.ok(record.deviceUs > 0);
  }),

  ...[1, 2, 17, JOB_ARGUMENT_WORDS].map((count) =>
    conformanceCase(`hands ${count} argument words to the kernel bit for bit`, 'LCH-1', {}, async (fixture) => {
      const session = await fixture.session();
      const value = BigInt.asUintN(32, BigInt(fixture.random.integer(1, 2 ** 31)));
      const args = Array.from({ length: Math.max(2, count) }, () => BigInt(fixture.random.integer(0, 2 ** 40)));
      args[0] = session.memory;
      args[1] = value << 20n;
      await session.launch('RECORD', args);
      assert.deepEqual(await session.readWords(session.memory, 1), [value << 20n]);
    }),
  ),

  ...wrongArguments,
  ...rectangles,
  ...offTheGrid,

  conformanceCase('reaches every processing element by itself', 'LCH-2', {}, async (fixture) => {
    const session = await fixture.session();
    const launches: Promise<unknown>[] = [];
    for (let pe = 0; pe < GRID * GRID; pe++) {
      const rectangle = { column: pe % GRID, row: Math.floor(pe / GRID), columns: 1, rows: 1 };
      launches.push(session.launch('RECORD', [session.memory + BigInt(pe * 8), BigInt(pe)], { rectangle }));
      // Argument words share the session's staging memory.
      await launches[pe];
    }
    const expected = Array.from({ length: GRID * GRID }, (_, pe) => BigInt(pe));
    assert.deepEqual(await session.readWords(session.memory, GRID * GRID), expected);
  }),

  conformanceCase('refuses a kernel that is not in the bundle', 'LCH-8', {}, async (fixture) => {
    const session = await fixture.session();
    for (const kernel of [200, 0xffff_ffff, 1n << 40n]) {
      const launch = { opcode: HOST_COMMAND.LAUNCH, a: kernel, d: encodeRectangle(ONE_PE) };
      await rejectsWith('UNKNOWN_KERNEL', session.submit(launch));
    }
    await session.expectWorking(ONE_PE);
  }),

  conformanceCase(
    'refuses arguments that lie in memory of another context',
    'LCH-4',
    { requires: ['queues'] },
    async (fixture) => {
      const card = await fixture.driver();
      const [owner, thief] = [await fixture.session({ on: card }), await fixture.session({ on: card })];
      const launch = {
        opcode: HOST_COMMAND.LAUNCH,
        a: thief.kernel('NULL'),
        b: owner.memory,
        c: 8,
        d: encodeRectangle(ONE_PE),
      };
      await rejectsWith('MEMORY_PROTECTION', thief.submit(launch));
    },
  ),

  ...(['OUT_OF_BOUNDS', 'DMA_OUT_OF_BOUNDS'] as const).map((kernel) =>
    conformanceCase(
      `keeps a kernel off memory of another context (${kernel})`,
      'LCH-4',
      { requires: ['queues'] },
      async (fixture) => {
        const card = await fixture.driver();
        const [owner, thief] = [await fixture.session({ on: card }), await fixture.session({ on: card })];
        const secret = fixture.random.bytes(PAGE_BYTES);
        await owner.write(owner.memory, secret);
        const error = await rejectsWith('MEMORY_PROTECTION', thief.launch(kernel, [owner.memory]));
        assert.equal(error.place?.value, owner.memory);
        equalBytes(await owner.read(owner.memory, PAGE_BYTES), secret, 'memory of the owner');
      },
    ),
  ),

  conformanceCase(
    'runs jobs on disjoint rectangles side by side',
    'LCH-5',
    { requires: ['queues'] },
    async (fixture) => {
      const card = await fixture.driver();
      const session = await fixture.session({ on: card });
      const other = await session.context.createQueue();
      const endless = await session.startLaunch('ENDLESS', [], { deadlineUs: 400_000 });
      const rectangle = { column: 4, row: 4, columns: 2, rows: 2 };
      const { done } = await session.startLaunch('NULL', [], { rectangle, queue: other });
      await done;
      await rejectsWith('KERNEL_TIMEOUT', endless.done);
    },
  ),

  conformanceCase(
    'runs jobs on overlapping rectangles one after the other',
    'LCH-5',
    { requires: ['queues'] },
    async (fixture) => {
      const session = await fixture.session();
      const queues = await Promise.all(Array.from({ length: 4 }, () => session.context.createQueue()));
      await session.writeWords(session.memory, [0n]);
      const additions = 200n;
      const launches = [];
      for (const queue of queues)
        launches.push(await session.startLaunch('ADD_ONE', [session.memory, additions], { queue }));
      await Promise.all(launches.map(({ done }) => done));
      assert.deepEqual(await session.readWords(session.memory, 1), [additions * BigInt(queues.length)]);
    },
  ),

  conformanceCase(
    'completes a hundred thousand launches, each once',
    'LCH-7',
    { deadlineMs: 120_000 },
    async (fixture) => {
      const session = await fixture.session();
      const launch = { opcode: HOST_COMMAND.LAUNCH, a: session.kernel('NULL'), d: encodeRectangle(ONE_PE) };
      let completed = 0;
      for (let burst = 0; burst < 100; burst++) {
        await Promise.all(Array.from({ length: 1000 }, () => session.submit(launch).then(() => completed++)));
      }
      assert.equal(completed, 100_000);
    },
  ),

  conformanceCase('takes the same device time for the same launch', 'STR-5', {}, async (fixture) => {
    const session = await fixture.session();
    const rectangle = { column: 0, row: 0, columns: 4, rows: 4 };
    const once = async (): Promise<number> =>
      (await session.launch('RECORD', [session.memory, 1n], { rectangle })).deviceUs;
    await once();
    const times = new Set([await once(), await once(), await once()]);
    assert.equal(times.size, 1, `device times ${[...times].join(', ')}`);
  }),

  conformanceCase('takes the same device time with any number of host threads', 'STR-5', {}, async (fixture) => {
    const times: number[] = [];
    for (const threads of [1, 2, 3]) {
      const session = await fixture.session({ threads });
      await session.launch('RECORD', [session.memory, 1n], { rectangle: WHOLE_GRID });
      times.push((await session.launch('RECORD', [session.memory, 1n], { rectangle: WHOLE_GRID })).deviceUs);
    }
    assert.equal(new Set(times).size, 1, `device times ${times.join(', ')}`);
  }),
]);
