/**
 * A PE goes to its next job as soon as its own part of the one before is done. HOLD keeps one PE of a rectangle at its job until
 * the test releases it, so that what these tests see does not depend on how fast anything runs.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CompletionRecord, Device, MtiaError, Queue } from '../../src/driver/index.js';
import type { ExternalKernelName } from '../../src/firmware-emu/index.js';
import { DATA_TYPE, PROTECTION_PAGE_BYTES, REDUCTION_LINK, type Rectangle } from '../../src/hw/index.js';
import { openCard, openSession, type Session } from './card.js';

/** How HOLD ends once it is released. */
const ENDING = { WELL: 1n, BY_ERROR: 2n, BY_TRAP: 3n, NEVER: 4n } as const;

/** Many looks of the control firmware (one every 5 ms), and more than it gives the PEs of a failed job. */
const MANY_LOOKS_MS = 150;

const BARRIERS = 0n;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const columns = (column: number, count: number): Rectangle => ({ column, row: 0, columns: count, rows: 1 });

interface Launched {
  readonly done: Promise<CompletionRecord>;
  /** Settled, that is. */
  readonly ended: () => boolean;
}

describe.each(['v1', '2i'] as const)('the next job of a PE on %s', (generation) => {
  let device: Device;
  let session: Session;
  let queues: Queue[];
  let gate: bigint;
  let words: bigint;

  beforeAll(async () => {
    ({ device } = await openCard(generation));
    session = await openSession(device);
    queues = await Promise.all([0, 1, 2].map(() => session.context.createQueue()));
    gate = session.memory;
    words = session.memory + 64n;
  });
  afterAll(() => device.close());

  async function launch(
    queue: number,
    kernel: ExternalKernelName,
    args: readonly bigint[],
    rectangle: Rectangle,
    deadlineUs?: number,
  ): Promise<Launched> {
    const on = queues[queue];
    if (on === undefined) throw new Error(`no queue ${queue}`);
    const options = { rectangle, queue: on, ...(deadlineUs === undefined ? {} : { deadlineUs }) };
    const { done } = await session.startLaunch(kernel, args, options);
    let ended = false;
    const note = (): void => {
      ended = true;
    };
    done.then(note, note);
    return { done, ended: () => ended };
  }

  /** The PE at this place of the rectangle stays at the job until `release`. */
  async function hold(place: number, rectangle: Rectangle): Promise<Launched> {
    await session.writeWords(gate, new Array<bigint>(32).fill(0n));
    return launch(0, 'HOLD', [BigInt(place), gate], rectangle);
  }
  const release = (how: bigint): Promise<void> => session.writeWords(gate, [how]);

  async function until(condition: () => Promise<boolean>): Promise<void> {
    for (let tries = 0; !(await condition()); tries++) {
      if (tries > 2000) throw new Error('waited in vain');
      await pause(1);
    }
  }
  const word = async (index: number): Promise<bigint> => (await session.readWords(words, index + 1))[index] ?? 0n;
  const failure = (launched: Launched): Promise<MtiaError | undefined> =>
    launched.done.then(
      () => undefined,
      (error: MtiaError) => error,
    );

  it('starts while a neighbour is still at the job before, and a third behind it', async () => {
    const first = await hold(1, columns(0, 4));
    const second = await launch(1, 'RECORD', [words, 10n], columns(0, 4));
    await until(async () => (await word(3)) === 13n && (await word(0)) === 10n && (await word(2)) === 12n);
    expect(await word(1)).toBe(0n);
    // The PEs that are through with both take a third, which is done before either of them is.
    const third = await launch(2, 'RECORD', [words + 64n, 20n], columns(2, 2));
    await third.done;
    expect(await session.readWords(words + 64n, 2)).toEqual([20n, 21n]);
    expect([first.ended(), second.ended()]).toEqual([false, false]);
    await release(ENDING.WELL);
    await Promise.all([first.done, second.done]);
    expect(await session.readWords(words, 4)).toEqual([10n, 11n, 12n, 13n]);
  });

  it('takes as long as alone', async () => {
    const record = [words, 1n] as const;
    const alone: number[] = [];
    const behind: number[] = [];
    for (let round = 0; round < 3; round++) {
      const first = await hold(0, columns(0, 2));
      const second = await launch(1, 'RECORD', record, columns(0, 2));
      await until(async () => (await word(1)) === 2n);
      await release(ENDING.WELL);
      await first.done;
      behind.push((await second.done).deviceUs * 1000);
      await pause(20);
      alone.push((await (await launch(1, 'RECORD', record, columns(0, 2))).done).deviceUs * 1000);
    }
    // The first one of all runs on PEs that came from a reset.
    expect(new Set([...behind.slice(1), ...alone.slice(1)]).size).toBe(1);
  });

  it('may wait for PEs that have not started it: no deadlock, and nothing that was sent is lost', async () => {
    const first = await hold(2, columns(0, 4));
    const second = await launch(1, 'ACROSS_PES', [BARRIERS, words, 5n], columns(0, 4));
    await pause(MANY_LOOKS_MS);
    expect([first.ended(), second.ended()]).toEqual([false, false]);
    await release(ENDING.WELL);
    await Promise.all([first.done, second.done]);
    expect(await session.readWords(words, 4)).toEqual([5n, 5n, 5n, 5n]);
  });

  it.each([
    ['returns an error', ENDING.BY_ERROR, 'INVALID_COMMAND', undefined],
    ['traps', ENDING.BY_TRAP, 'KERNEL_FAULT', undefined],
    ['deadlocks', ENDING.NEVER, 'DEADLOCK', undefined],
    ['is late', undefined, 'KERNEL_TIMEOUT', 60_000],
  ] as const)('survives a first one that %s', async (_what, ending, code, deadlineUs) => {
    await session.writeWords(gate, new Array<bigint>(32).fill(0n));
    const first = await launch(0, 'HOLD', [1n, gate], columns(0, 3), deadlineUs);
    const second = await launch(1, 'ACROSS_PES', [BARRIERS, words, 5n], columns(0, 4));
    const third = await launch(2, 'RECORD', [words + 64n, 20n], columns(1, 4));
    await until(async () => (await word(3)) === 1n);
    if (ending !== undefined) await release(ending);
    expect(await failure(first)).toMatchObject({ code, place: { pe: 1 } });
    await Promise.all([second.done, third.done]);
    expect(await session.readWords(words, 4)).toEqual([5n, 5n, 5n, 5n]);
    expect(await session.readWords(words + 64n, 4)).toEqual([20n, 21n, 22n, 23n]);
  });

  it.each([
    ['ONE_PE_FAILS', [2n], 'INVALID_COMMAND'],
    ['ILLEGAL_INSTRUCTION', [], 'KERNEL_FAULT'],
  ] as const)('that fails (%s) harms neither the one before nor the one after it', async (kernel, args, code) => {
    const first = await hold(1, columns(0, 4));
    const second = await launch(1, kernel, args, columns(0, 4));
    expect(await failure(second)).toMatchObject({ code });
    const third = await launch(2, 'RECORD', [words, 30n], columns(0, 4));
    await until(async () => (await word(3)) === 33n);
    expect([first.ended(), third.ended()]).toEqual([false, false]);
    await release(ENDING.WELL);
    await Promise.all([first.done, third.done]);
    expect(await session.readWords(words, 4)).toEqual([30n, 31n, 32n, 33n]);
  });

  it('has the time of its deadline from its own start', async () => {
    const first = await hold(1, columns(0, 2));
    const inTime = await launch(1, 'RECORD', [words, 1n], columns(0, 2), 50_000);
    const late = await launch(2, 'ENDLESS', [], columns(1, 1), 50_000);
    await pause(MANY_LOOKS_MS);
    expect([inTime.ended(), late.ended()]).toEqual([false, false]);
    const released = performance.now();
    await release(ENDING.WELL);
    await Promise.all([first.done, inTime.done]);
    expect(await failure(late)).toMatchObject({ code: 'KERNEL_TIMEOUT', place: { pe: 1 } });
    expect(performance.now() - released).toBeGreaterThan(45);
  });

  it('is given back where its queue closes, and its PEs go on', async () => {
    const first = await hold(1, columns(0, 2));
    const queue = await session.context.createQueue();
    const { done } = await session.startLaunch('RECORD', [words, 1n], { queue, rectangle: columns(0, 2) });
    const closed = done.then(
      () => 'done',
      (error: MtiaError) => error.code,
    );
    await until(async () => (await word(0)) === 1n);
    await queue.abort();
    expect(await closed).toBe('ABORTED');
    const third = await launch(2, 'RECORD', [words + 64n, 5n], columns(0, 2));
    await release(ENDING.WELL);
    await Promise.all([first.done, third.done]);
    expect(await word(1)).toBe(0n);
    expect(await session.readWords(words + 64n, 2)).toEqual([5n, 6n]);
  });

  it('gets the partial sums that reached a PE before it started the job, whether the one before ended or was reset', async () => {
    const chain = { column: 0, row: 1, columns: 4, rows: 1 };
    const [tiles, blocks] = [6, 1];
    const [aBytes, bBytes, outputBytes] = [32 * 64, 2048, 4096];
    const items = tiles * chain.columns;
    const a = session.memory + BigInt(PROTECTION_PAGE_BYTES);
    const b = a + BigInt(items * aBytes);
    const output = b + BigInt(items * bBytes);
    await session.write(a, new Uint8Array(items * aBytes).fill(3));
    await session.write(b, new Uint8Array(items * bBytes).fill(5));
    // 64 products of 15 in each of four parts.
    const expected = new Int32Array((tiles * outputBytes) / 4).fill(64 * 15 * 4);
    const args = [a, b, output, tiles, blocks, DATA_TYPE.INT8, REDUCTION_LINK.WEST_TO_EAST, 0].map(BigInt);
    for (const ending of [ENDING.WELL, ENDING.NEVER, ENDING.BY_ERROR, ENDING.WELL]) {
      await session.write(output, new Uint8Array(tiles * outputBytes));
      const first = await hold(1, { ...chain, columns: 2 });
      const second = await launch(1, 'REDUCTION_CHAIN', args, chain);
      await pause(20);
      await release(ending);
      if (ending === ENDING.WELL) await first.done;
      else await expect(first.done).rejects.toBeDefined();
      await second.done;
      const found = await session.read(output, tiles * outputBytes);
      expect(new Int32Array(found.buffer)).toEqual(expected);
    }
  });
});
