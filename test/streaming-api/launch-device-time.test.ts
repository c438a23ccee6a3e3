/** Device time of launches: the program decides it, and not how soon one follows the other on this host. */
import { describe, expect, it } from 'vitest';
import { openEmulatorWithDebug } from '../../src/driver/index.js';
import type { Generation } from '../../src/hw/index.js';
import { Device } from '../../src/streaming-api/index.js';

const LAUNCHES = 200;
const GRIDS = [
  { columns: 1, rows: 1 },
  { columns: 8, rows: 8 },
] as const;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Of launches that follow each other at once, of such that wait for the one before, and of such that find a chip at rest. */
async function deviceTimes(generation: Generation, threads: number, grid: (typeof GRIDS)[number]): Promise<number[]> {
  const { pci } = openEmulatorWithDebug({ generation, threads });
  await using device = await Device.open({ pci });
  const launch = async (): Promise<number> =>
    (await device.defaultStream.launch(device.kernel('NULL'), { grid })).deviceUs;
  const times = await Promise.all(Array.from({ length: LAUNCHES }, launch));
  for (let i = 0; i < LAUNCHES; i++) times.push(await launch());
  for (let i = 0; i < 3; i++) {
    await pause(20);
    times.push(await launch());
  }
  return times;
}

describe.each(['v1', '2i'] as const)('launches back to back on %s', (generation) => {
  it.each(GRIDS)('take one and the same device time with any number of threads: %o', async (grid) => {
    const times = new Set<number>();
    for (const threads of [1, 2, 3]) for (const us of await deviceTimes(generation, threads, grid)) times.add(us);
    expect([...times]).toHaveLength(1);
  });
});
