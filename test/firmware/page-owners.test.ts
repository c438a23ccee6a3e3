/** Pages that change their owner while PEs of the old one write to them. */
import { expect, it } from 'vitest';
import type { MtiaError } from '../../src/driver/index.js';
import { COPY_ARGUMENTS, encodeStruct, KERNEL_ID, PROTECTION_PAGE_BYTES } from '../../src/hw/index.js';
import { openCard, openSession, WHOLE_GRID } from './card.js';

const PAGES = 8;
const ROW_BYTES = 4096;
const ROWS = (PAGES * PROTECTION_PAGE_BYTES) / ROW_BYTES;
const ROUNDS = 30;

it('pages taken back from a running job show nothing of it to their next owner', async () => {
  const { device } = await openCard('2i');
  await using _closing = device;
  const old = await openSession(device);
  const next = await openSession(device);
  // The first half of the old owner's memory is copied to pages of its own, with the arguments in the first page.
  const target = next.memory + BigInt(next.memoryBytes);
  await old.write(old.memory + BigInt(PROTECTION_PAGE_BYTES), new Uint8Array(PAGES * PROTECTION_PAGE_BYTES).fill(0xaa));
  const bytes = new Uint8Array(COPY_ARGUMENTS.size);
  encodeStruct(COPY_ARGUMENTS, new DataView(bytes.buffer), 0, {
    input: old.memory + BigInt(PROTECTION_PAGE_BYTES),
    output: target,
    rows: ROWS,
    row_bytes: ROW_BYTES,
    input_stride: BigInt(ROW_BYTES),
    output_stride: BigInt(ROW_BYTES),
  });
  const words = [...new BigUint64Array(bytes.buffer)];
  const ends = new Set<string>();
  for (let round = 0; round < ROUNDS; round++) {
    await old.context.assignPages(target, PAGES);
    const job = old.launch(KERNEL_ID.COPY, words, { rectangle: WHOLE_GRID }).then(
      () => 'done',
      (error: MtiaError) => error.code,
    );
    await new Promise(setImmediate);
    await old.context.releasePages(target, PAGES);
    await next.context.assignPages(target, PAGES);
    const first = await next.read(target, PAGES * PROTECTION_PAGE_BYTES);
    ends.add(await job);
    const second = await next.read(target, PAGES * PROTECTION_PAGE_BYTES);
    expect(first.every((byte) => byte === 0) && second.every((byte) => byte === 0)).toBe(true);
    await next.context.releasePages(target, PAGES);
  }
  for (const end of ends) expect(['done', 'MEMORY_PROTECTION']).toContain(end);
});
