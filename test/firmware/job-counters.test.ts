/** A completion and the counters: whoever has the one finds the job in the other. */
import { describe, expect, it } from 'vitest';
import { openCard, openSession, testKernels, WHOLE_GRID } from './card.js';

const ROWS = 64;
const ROW_BYTES = 512;
const BYTES = BigInt(ROWS * ROW_BYTES);
const LAUNCHES = 300;
/** More than processors: one of them is often put aside between the end of a job and its next step. */
const THREADS = 16;

describe.each(['v1', '2i'] as const)('the counters of %s', (generation) => {
  it('hold all of a job when its completion arrives', async () => {
    const { device, debug } = await openCard(generation, testKernels(), THREADS);
    await using _closing = device;
    const session = await openSession(device);
    const shape = BigInt(ROWS) | (BigInt(ROW_BYTES) << 32n);
    const stride = BigInt(ROW_BYTES);
    const args = [session.memory, session.memory + BYTES, shape, stride, stride, 0n];
    for (let launch = 1; launch <= LAUNCHES; launch++) {
      await session.launch('COPY', args, { rectangle: WHOLE_GRID });
      const { lpddrReadBytes, lpddrWrittenBytes } = debug.memoryCounters();
      expect({ launch, lpddrReadBytes, lpddrWrittenBytes }).toEqual({
        launch,
        lpddrReadBytes: BigInt(launch) * BYTES,
        lpddrWrittenBytes: BigInt(launch) * BYTES,
      });
    }
  });
});
