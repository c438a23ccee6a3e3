import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device } from '../../src/driver/index.js';
import { EXTERNAL_KERNEL_ID, type ExternalKernelName } from '../../src/firmware-emu/index.js';
import {
  encodeGraphImage,
  GRAPH_HEADER,
  GRAPH_JOB,
  GRAPH_JOB_FLAG,
  HOST_COMMAND,
  KERNEL_ID,
  PROTECTION_PAGE_BYTES,
  type Rectangle,
} from '../../src/hw/index.js';
import { ONE_PE, openCard, openSession, type Session } from './card.js';

interface Job {
  readonly kernel: number;
  readonly rectangle?: Rectangle;
  readonly barrier?: boolean;
  readonly args?: readonly bigint[];
  /** Segment number of every word of args. */
  readonly segments?: readonly number[];
}

const external = (kernel: ExternalKernelName): number => EXTERNAL_KERNEL_ID[kernel];
const place = (column: number, row: number): Rectangle => ({ column, row, columns: 1, rows: 1 });

type Change = (view: DataView) => void;

function encodeGraph(jobs: readonly Job[], segmentCount: number, change: Change = () => undefined): Uint8Array {
  const records = jobs.map(({ kernel, rectangle = ONE_PE, barrier = false, args = [], segments = [] }) => {
    return { kernel, flags: barrier ? GRAPH_JOB_FLAG.BARRIER : 0, rectangle, words: args, segments };
  });
  const bytes = encodeGraphImage(records, segmentCount);
  change(new DataView(bytes.buffer));
  return bytes;
}

describe.each(['v1', '2i'] as const)('GRAPH_LAUNCH on %s', (generation) => {
  let device: Device;
  let session: Session;
  let graph: bigint;
  let bases: bigint;

  beforeAll(async () => {
    ({ device } = await openCard(generation));
    session = await openSession(device);
    graph = session.memory + BigInt(4 * PROTECTION_PAGE_BYTES);
    bases = session.memory + BigInt(2 * PROTECTION_PAGE_BYTES);
  });
  afterAll(() => device.close());

  async function run(jobs: readonly Job[], segmentBases: readonly bigint[] = [], change?: Change) {
    await session.write(graph, encodeGraph(jobs, segmentBases.length, change));
    if (segmentBases.length > 0) await session.writeWords(bases, segmentBases);
    return session.queue.submit({ opcode: HOST_COMMAND.GRAPH_LAUNCH, a: graph, b: bases, c: segmentBases.length });
  }

  it('of nothing is done at once', async () => {
    expect(await run([])).toMatchObject({ jobs: 0 });
  });

  it('runs every job, with the bases of its segments added', async () => {
    const first = session.memory;
    const second = session.memory + 4096n;
    const jobs = [
      { kernel: external('RECORD'), args: [8n, 70n], segments: [1, 0] },
      { kernel: external('RECORD'), args: [16n, 1n], segments: [2, 1], rectangle: place(1, 0) },
      { kernel: KERNEL_ID.NULL, rectangle: place(2, 0) },
    ];
    const result = await run(jobs, [first, second]);
    expect(result.jobs).toBe(3);
    expect(await session.readWords(first + 8n, 1)).toEqual([70n]);
    expect(await session.readWords(second + 16n, 1)).toEqual([first + 1n]);
    // The same graph again, bound to other memory.
    await session.writeWords(bases, [second, first]);
    await session.queue.submit({ opcode: HOST_COMMAND.GRAPH_LAUNCH, a: graph, b: bases, c: 2 });
    expect(await session.readWords(second + 8n, 1)).toEqual([70n]);
  });

  it('keeps the order that barriers and shared PEs demand', async () => {
    const counter = session.memory + 512n;
    await session.writeWords(counter, [0n]);
    const add = (rectangle: Rectangle, barrier: boolean): Job => ({
      kernel: external('ADD_ONE'),
      rectangle,
      barrier,
      args: [counter, 20n],
    });
    // Without the barriers jobs on different PEs would overlap and lose additions.
    const jobs = Array.from({ length: 24 }, (_, index) => add(place(index % 8, 0), true));
    jobs.push(...Array.from({ length: 8 }, (_, index) => add(place(3, 3), index === 0)));
    await run(jobs);
    expect(await session.readWords(counter, 1)).toEqual([640n]);
  });

  it('runs jobs on disjoint rectangles at once', async () => {
    const jobs = Array.from({ length: 300 }, (_, index) => ({
      kernel: external('RECORD'),
      rectangle: place(index % 8, Math.floor(index / 8) % 8),
      args: [session.memory + BigInt(8 * index), BigInt(index)],
    }));
    expect((await run(jobs)).jobs).toBe(300);
    expect(await session.readWords(session.memory, 300)).toEqual(Array.from({ length: 300 }, (_, i) => BigInt(i)));
  });

  it('takes the device time of its longest chain of jobs, whatever ran beside it', async () => {
    const counter = session.memory + 512n;
    const add = (times: bigint, column: number, columns = 1, barrier = false): Job => ({
      kernel: external('ADD_ONE'),
      rectangle: { ...place(column, 0), columns },
      barrier,
      args: [counter, times],
    });
    const deviceUs = async (...jobs: readonly Job[]): Promise<number> => (await run(jobs)).deviceUs;
    const [long, short] = [await deviceUs(add(2000n, 0)), await deviceUs(add(1000n, 0))];
    const near = (value: number): [number, number] => [value * 0.97, value * 1.03];
    const between = (value: number, [low, high]: [number, number]): void => {
      expect(value).toBeGreaterThan(low);
      expect(value).toBeLessThan(high);
    };
    between(await deviceUs(add(1000n, 0), add(2000n, 1), add(1000n, 2)), near(long));
    between(await deviceUs(add(2000n, 0), add(1000n, 1, 1, true), add(2000n, 2, 1, true)), near(2 * long + short));
    // The second PE of the middle job has the first job behind it, the third has the last one before it.
    between(await deviceUs(add(2000n, 0, 2), add(1000n, 1, 2), add(1000n, 3)), near(long + short));
  });

  it('that fails names the job, and the next one succeeds', async () => {
    const good = { kernel: external('RECORD'), args: [session.memory, 1n] };
    const endless = { kernel: external('ENDLESS'), rectangle: place(5, 5) };
    const failing = { kernel: external('ILLEGAL_INSTRUCTION'), rectangle: place(6, 6) };
    await expect(run([good, endless, failing, good])).rejects.toMatchObject({
      code: 'KERNEL_FAULT',
      place: { jobIndex: 2, kernel: external('ILLEGAL_INSTRUCTION'), pe: 54, hart: 1 },
    });
    await run([good, { ...good, rectangle: place(5, 5) }, { ...good, rectangle: place(6, 6) }]);
  });

  it('has a deadline for the whole graph', async () => {
    await session.write(graph, encodeGraph([{ kernel: KERNEL_ID.NULL }, { kernel: external('ENDLESS') }], 0));
    const command = { opcode: HOST_COMMAND.GRAPH_LAUNCH, a: graph, deadlineUs: 30_000 };
    await expect(session.queue.submit(command)).rejects.toMatchObject({
      code: 'KERNEL_TIMEOUT',
      place: { jobIndex: 1, pe: 0 },
    });
  });

  const NULL_JOB: Job = { kernel: KERNEL_ID.NULL };
  const SECOND_JOB = GRAPH_HEADER.size + GRAPH_JOB.size;
  it.each<[string, Change, string, object]>([
    ['wrong magic', (view) => view.setUint32(0, 1, true), 'INVALID_GRAPH', {}],
    ['wrong version', (view) => view.setUint32(4, 9, true), 'INVALID_GRAPH', {}],
    ['a reserved word', (view) => view.setUint8(63, 1), 'INVALID_GRAPH', {}],
    ['too many segments', (view) => view.setUint32(12, 65, true), 'INVALID_GRAPH', {}],
    ['segments that are not bound', (view) => view.setUint32(12, 2, true), 'INVALID_COMMAND', {}],
    ['an unknown flag', (view) => view.setUint32(SECOND_JOB + 4, 8, true), 'INVALID_GRAPH', { jobIndex: 1 }],
    ['a job with reserved bits', (view) => view.setUint8(SECOND_JOB + 16, 1), 'INVALID_GRAPH', { jobIndex: 1 }],
    ['too many words', (view) => view.setUint32(SECOND_JOB + 12, 33, true), 'INVALID_GRAPH', { jobIndex: 1 }],
    [
      'an unbound segment',
      (view) => {
        view.setUint32(SECOND_JOB + 12, 1, true);
        view.setUint8(SECOND_JOB + 32, 1);
      },
      'INVALID_GRAPH',
      { jobIndex: 1 },
    ],
    ['an empty rectangle', (view) => view.setUint8(SECOND_JOB + 10, 0), 'INVALID_GRID', { jobIndex: 1 }],
    ['a rectangle off the grid', (view) => view.setUint8(SECOND_JOB + 9, 8), 'INVALID_GRID', { jobIndex: 1 }],
    [
      'an unknown kernel',
      (view) => view.setUint32(SECOND_JOB, 99, true),
      'UNKNOWN_KERNEL',
      { jobIndex: 1, kernel: 99 },
    ],
    ['more jobs than memory', (view) => view.setUint32(8, 0xffff_ffff, true), 'INVALID_GRAPH', {}],
  ])('with %s is refused', async (_what, change, code, where) => {
    await session.write(graph, new Uint8Array(65536).fill(0xff));
    await expect(run([NULL_JOB, NULL_JOB], [], change)).rejects.toMatchObject({ code, place: where });
    await run([NULL_JOB]);
  });

  it('outside of the context is refused', async () => {
    const end = session.memory + BigInt(session.memoryBytes);
    for (const [a, code] of [
      [end, 'MEMORY_PROTECTION'],
      [end - 32n, 'MEMORY_PROTECTION'],
      [0n, 'MEMORY_PROTECTION'],
      [(1n << 64n) - 64n, 'MEMORY_PROTECTION'],
      [graph + 4n, 'INVALID_COMMAND'],
    ] as const) {
      await expect(session.queue.submit({ opcode: HOST_COMMAND.GRAPH_LAUNCH, a })).rejects.toMatchObject({ code });
    }
    // The header inside, the records not.
    await session.write(end - 64n, encodeGraph([NULL_JOB], 0).subarray(0, 64));
    await expect(session.queue.submit({ opcode: HOST_COMMAND.GRAPH_LAUNCH, a: end - 64n })).rejects.toMatchObject({
      code: 'MEMORY_PROTECTION',
      place: { value: end, jobIndex: 0 },
    });
    await session.write(graph, encodeGraph([NULL_JOB], 1));
    await expect(
      session.queue.submit({ opcode: HOST_COMMAND.GRAPH_LAUNCH, a: graph, b: end, c: 1 }),
    ).rejects.toMatchObject({ code: 'MEMORY_PROTECTION', place: { value: end } });
  });
});
