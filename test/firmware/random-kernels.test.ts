/** Random kernels on overlapping rectangles, three queues at a time: each ends by name, the same on one thread and on two. */
import { describe, expect, it } from 'vitest';
import type { FirmwareImage, MtiaError } from '../../src/driver/index.js';
import { loadBundle, writeBundle } from '../../src/firmware-emu/index.js';
import type { Generation, Rectangle } from '../../src/hw/index.js';
import { type Random, randomFrom } from '../native/random.js';
import { openCard, openSession, WHOLE_GRID } from './card.js';
import { LONGEST_SIDE, randomKernel } from './random-kernel.js';

const SEED = Number(process.env.KERNEL_SEED ?? 1);
const ROUNDS = Number(process.env.KERNEL_ROUNDS ?? 2);
const KERNELS = 40;
const LAUNCHES = 80;
const QUEUES = 3;
const FIRST_ID = 500;
/** Nothing here takes long; what waits for ever is DEADLOCK long before. */
const DEADLINE_US = 2_000_000;
const BY_NAME = ['OK', 'ILLEGAL_UNIT_COMMAND', 'DEADLOCK', 'KERNEL_FAULT', 'MEMORY_PROTECTION'];

interface Launch {
  readonly kernel: number;
  readonly rectangle: Rectangle;
}

interface Program {
  readonly firmware: FirmwareImage;
  readonly launches: readonly Launch[];
}

function rectangleOf(random: Random): Rectangle {
  const [columns, rows] = [1 + random(LONGEST_SIDE), 1 + random(LONGEST_SIDE)];
  return { column: random(9 - columns), row: random(9 - rows), columns, rows };
}

function randomProgram(random: Random, generation: Generation): Program {
  const image = loadBundle();
  const sections = image.sections.filter(({ kind }) => kind !== 'MANIFEST' && kind !== 'SIGNATURE');
  const kernels = Array.from({ length: KERNELS }, (_, index) => ({
    kind: 'KERNEL' as const,
    name: `RANDOM_${index}`,
    kernelId: FIRST_ID + index,
    bytes: randomKernel(random, generation),
  }));
  const bytes = writeBundle({ manifest: image.manifest, sections: [...sections, ...kernels] });
  const launches = Array.from({ length: LAUNCHES }, (_, index) => ({
    kernel: FIRST_ID + (index % KERNELS),
    rectangle: rectangleOf(random),
  }));
  return { firmware: { ...image, bytes }, launches };
}

const failureText = ({ code, place }: MtiaError): string => `${code} ${place?.pe}.${place?.hart} ${place?.value}`;

/** How every launch ended: with its device time, or its error and the place. */
async function outcomesOf(generation: Generation, program: Program, threads: number): Promise<string[]> {
  const { device } = await openCard(generation, program.firmware, threads);
  await using _closing = device;
  const session = await openSession(device);
  const queues = await Promise.all(Array.from({ length: QUEUES }, () => session.context.createQueue()));
  const ends: Promise<string>[] = [];
  for (const [index, { kernel, rectangle }] of program.launches.entries()) {
    const queue = queues[index % QUEUES];
    if (queue === undefined) throw new Error('no queue');
    const options = { rectangle, queue, deadlineUs: DEADLINE_US };
    const { done } = await session.startLaunch(kernel, [session.memory], options);
    ends.push(done.then(({ deviceUs }) => `OK ${deviceUs}`, failureText));
  }
  const outcomes = await Promise.all(ends);
  await session.launch('NULL', [], { rectangle: WHOLE_GRID });
  return outcomes;
}

describe.each(['v1', '2i'] as const)('random kernels on %s', (generation) => {
  it.each(Array.from({ length: ROUNDS }, (_, round) => SEED + round))('of seed %i', async (seed) => {
    const program = randomProgram(randomFrom(seed), generation);
    const [one, two] = [await outcomesOf(generation, program, 1), await outcomesOf(generation, program, 2)];
    expect(two).toEqual(one);
    const names = new Set(one.map((outcome) => outcome.split(' ')[0] ?? ''));
    expect([...names].filter((name) => !BY_NAME.includes(name))).toEqual([]);
    expect(names.size).toBeGreaterThan(1);
  });
});
