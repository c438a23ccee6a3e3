import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device, MtiaError } from '../../src/driver/index.js';
import { EXTERNAL_KERNEL_ID, type ExternalKernelName } from '../../src/firmware-emu/index.js';
import { CUSTOM_EXCEPTION, KERNEL_ID, KERNEL_RESULT, MEMORY_MAP } from '../../src/hw/index.js';
import { ONE_PE, openCard, openSession, type Session, WHOLE_GRID } from './card.js';

const STORE_ACCESS_FAULT = 7n;
const LOAD_MISALIGNED = 4n;
const ILLEGAL_INSTRUCTION = 2n;
const FOREIGN = MEMORY_MAP.LPDDR.base + 2n ** 29n;

/** Bounded: the control firmware looks at jobs every 5 ms. */
const PROMPTLY_MS = 3000;

describe.each(['v1', '2i'] as const)('a kernel that fails on %s', (generation) => {
  let device: Device;
  let session: Session;

  beforeAll(async () => {
    ({ device } = await openCard(generation));
    session = await openSession(device);
  });
  afterAll(() => device.close());

  async function failureOf(
    kernel: ExternalKernelName,
    args: readonly bigint[] = [],
    options: Parameters<Session['launch']>[2] = {},
  ): Promise<MtiaError> {
    const start = performance.now();
    const error = await session.launch(kernel, args, options).then(
      () => undefined,
      (reason: MtiaError) => reason,
    );
    expect(performance.now() - start).toBeLessThan(PROMPTLY_MS);
    // Whatever happened, the next command finds the device usable, on every PE.
    await session.launch(KERNEL_ID.NULL, [], { rectangle: WHOLE_GRID });
    await session.launch('RECORD', [session.memory, 1n], { rectangle: WHOLE_GRID });
    expect((await session.readWords(session.memory, 64)).at(-1)).toBe(64n);
    if (error === undefined) throw new Error(`${kernel} did not fail`);
    expect(error.place?.kernel).toBe(EXTERNAL_KERNEL_ID[kernel]);
    return error;
  }

  it.each([
    ['OUT_OF_BOUNDS', [FOREIGN], 'MEMORY_PROTECTION', { pe: 0, hart: 0, cause: STORE_ACCESS_FAULT, value: FOREIGN }],
    ['OUT_OF_BOUNDS', [0n], 'MEMORY_PROTECTION', { hart: 0, cause: STORE_ACCESS_FAULT, value: 0n }],
    [
      'DMA_OUT_OF_BOUNDS',
      [FOREIGN],
      'MEMORY_PROTECTION',
      { hart: 0, cause: BigInt(CUSTOM_EXCEPTION.COMMAND_BUS_FAULT), value: FOREIGN },
    ],
    ['ILLEGAL_COMMAND', [], 'ILLEGAL_UNIT_COMMAND', { hart: 0, cause: BigInt(CUSTOM_EXCEPTION.ILLEGAL_COMMAND) }],
    ['ILLEGAL_INSTRUCTION', [], 'KERNEL_FAULT', { hart: 1, cause: ILLEGAL_INSTRUCTION }],
    [
      'MISALIGNED',
      [MEMORY_MAP.PE_REGISTERS.base + 1n],
      'KERNEL_FAULT',
      { hart: 0, cause: LOAD_MISALIGNED, value: MEMORY_MAP.PE_REGISTERS.base + 1n },
    ],
    ['STACK_OVERFLOW', [1_000_000n], 'MEMORY_PROTECTION', { cause: STORE_ACCESS_FAULT }],
    ['RETURN_VALUE', [BigInt(KERNEL_RESULT.BAD_GRID)], 'INVALID_GRID', { cause: 1n }],
    ['RETURN_VALUE', [BigInt(KERNEL_RESULT.BAD_ARGUMENT)], 'INVALID_COMMAND', { cause: 2n }],
    ['RETURN_VALUE', [BigInt(KERNEL_RESULT.INDEX_OUT_OF_RANGE)], 'INDEX_OUT_OF_RANGE', { cause: 3n }],
    ['RETURN_VALUE', [BigInt(KERNEL_RESULT.LOCAL_MEMORY)], 'INSUFFICIENT_LOCAL_MEMORY', { cause: 4n }],
    ['RETURN_VALUE', [0xffff_ffffn], 'KERNEL_ERROR', { cause: 0xffff_ffffn }],
    ['DEADLOCK', [], 'DEADLOCK', { pe: 0 }],
  ] as const)('%s(%s) gives %s', async (kernel, args, code, place) => {
    expect(await failureOf(kernel, args)).toMatchObject({ code, place });
  });

  it('on the whole grid is reported once, for the lowest PE', async () => {
    const error = await failureOf('OUT_OF_BOUNDS', [FOREIGN], { rectangle: WHOLE_GRID });
    expect(error).toMatchObject({ code: 'MEMORY_PROTECTION', place: { pe: 0 } });
    expect(await failureOf('DEADLOCK', [], { rectangle: WHOLE_GRID })).toMatchObject({
      code: 'DEADLOCK',
      place: { pe: 0 },
    });
  });

  it('because of its rectangle', async () => {
    await session.launch('BAD_GRID', [12n], { rectangle: { column: 0, row: 0, columns: 3, rows: 2 } });
    const rectangle = { column: 1, row: 1, columns: 5, rows: 1 };
    expect(await failureOf('BAD_GRID', [12n], { rectangle })).toMatchObject({ code: 'INVALID_GRID', place: { pe: 9 } });
  });

  it('by never ending is stopped at its deadline', async () => {
    const one = await failureOf('ENDLESS', [], { rectangle: ONE_PE, deadlineUs: 30_000 });
    expect(one).toMatchObject({ code: 'KERNEL_TIMEOUT', place: { pe: 0 } });
    // A PE that its host thread has not come to yet is not named: on a busy host another one may be.
    const all = await failureOf('ENDLESS', [], { rectangle: WHOLE_GRID, deadlineUs: 300_000 });
    expect(all).toMatchObject({ code: 'KERNEL_TIMEOUT', place: { pe: expect.any(Number) } });
  });

  it('on one PE ends the others, which never would', async () => {
    const error = await failureOf('ONE_PE_FAILS', [9n], { rectangle: { column: 0, row: 0, columns: 8, rows: 2 } });
    expect(error).toMatchObject({ code: 'INVALID_COMMAND', place: { pe: 9 } });
  });

  it('does not harm another context', async () => {
    const other = await openSession(device);
    const bystander = Array.from({ length: 20 }, () =>
      other.launch('RECORD', [other.memory, 5n], { rectangle: { column: 4, row: 4, columns: 2, rows: 2 } }),
    );
    for (let round = 0; round < 5; round++) await failureOf('ILLEGAL_INSTRUCTION');
    await Promise.all(bystander);
    expect(await other.readWords(other.memory, 4)).toEqual([5n, 6n, 7n, 8n]);
    await other.context.close();
  });

  it('many times over leaves the device usable', async () => {
    for (let round = 0; round < 20; round++) {
      await expect(session.launch('ILLEGAL_INSTRUCTION', [], { rectangle: WHOLE_GRID })).rejects.toMatchObject({
        code: 'KERNEL_FAULT',
      });
    }
    await session.launch(KERNEL_ID.NULL, [], { rectangle: WHOLE_GRID });
  });
});
