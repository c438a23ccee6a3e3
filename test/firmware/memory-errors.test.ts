/** Flipped bits in what the control firmware itself reads in LPDDR: arguments, graphs, kernels not loaded yet. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CompletionRecord } from '../../src/driver/index.js';
import { EXTERNAL_KERNEL_ID, readBundle } from '../../src/firmware-emu/index.js';
import {
  encodeGraphImage,
  encodeRectangle,
  GRAPH_HEADER,
  HOST_COMMAND,
  MEMORY_MAP,
  PROTECTION_PAGE_BYTES,
} from '../../src/hw/index.js';
import { type Card, ONE_PE, openCard, openSession, type Session, testKernels } from './card.js';

const ONE_BIT = 1n << 41n;
const TWO_BITS = 0x8000_0000_0000_0001n;
const RECORD = EXTERNAL_KERNEL_ID.RECORD;
const VALUE = 77n;
const UNALIGNED_TAIL = 3;

let card: Card;
let session: Session;
/** Where launch arguments, segment bases and the graph lie. */
let words: bigint;
let graph: bigint;

beforeEach(async () => {
  card = await openCard('2i', testKernels(), 1);
  session = await openSession(card.device);
  words = session.memory + BigInt(PROTECTION_PAGE_BYTES);
  graph = session.memory + BigInt(2 * PROTECTION_PAGE_BYTES);
});
afterEach(() => card.device.close());

/** Kernel RECORD with arguments that are written first. */
async function launch(hurt: () => void): Promise<CompletionRecord> {
  await session.writeWords(words, [session.memory, VALUE]);
  hurt();
  return session.submit({
    opcode: HOST_COMMAND.LAUNCH,
    a: RECORD,
    b: words,
    c: 16,
    d: encodeRectangle(ONE_PE),
  });
}

/** A graph of UNALIGNED_TAIL jobs, whose argument comes from a segment. */
async function launchGraph(hurt: () => void): Promise<CompletionRecord> {
  const job = { kernel: RECORD, flags: 0, rectangle: ONE_PE, words: [0n, VALUE], segments: [1, 0] };
  await session.write(graph, encodeGraphImage(Array(UNALIGNED_TAIL).fill(job), 1));
  await session.writeWords(words, [session.memory]);
  hurt();
  return session.submit({ opcode: HOST_COMMAND.GRAPH_LAUNCH, a: graph, b: words, c: 1 });
}

const PLACES: readonly (readonly [string, typeof launch, () => bigint])[] = [
  ['the first word of launch arguments', launch, () => words],
  ['the last word of launch arguments', launch, () => words + 8n],
  ['the header of a graph', launchGraph, () => graph],
  ['the segment bases of a graph', launchGraph, () => words],
  ['a job of a graph', launchGraph, () => graph + BigInt(GRAPH_HEADER.size)],
];

describe.each(PLACES)('a flipped bit in %s', (_, run, place) => {
  it('is corrected and counted', async () => {
    await session.writeWords(session.memory, [0n]);
    await run(() => card.debug.injectError(place(), ONE_BIT));
    expect(await session.readWords(session.memory, 1)).toEqual([VALUE]);
    expect(card.debug.memoryCounters()).toMatchObject({ eccCorrected: 1n, eccUncorrectable: 0n });
  });

  it('beside another one fails the command by name, and the next one works', async () => {
    const failed = run(() => card.debug.injectError(place(), TWO_BITS));
    await expect(failed).rejects.toMatchObject({ code: 'ECC_UNCORRECTABLE', place: { value: place() } });
    await run(() => undefined);
    expect(await session.readWords(session.memory, 1)).toEqual([VALUE]);
  });
});

describe('a flipped bit in a kernel that is not loaded yet', () => {
  const middleOf = (kernelId: number): bigint => {
    const section = readBundle(testKernels().bytes).sections.find((one) => one.kernelId === kernelId);
    if (section === undefined) throw new Error(`the bundle has no kernel ${kernelId}`);
    return MEMORY_MAP.LPDDR.base + BigInt(section.offset + 128);
  };

  it('is corrected when it is loaded', async () => {
    card.debug.injectError(middleOf(RECORD), ONE_BIT);
    await launch(() => undefined);
    expect(await session.readWords(session.memory, 1)).toEqual([VALUE]);
    expect(card.debug.memoryCounters()).toMatchObject({ eccCorrected: 1n });
  });

  it('beside another one fails its launches, until a reset stages the bundle again', async () => {
    card.debug.injectError(middleOf(RECORD), TWO_BITS);
    await expect(launch(() => undefined)).rejects.toMatchObject({ code: 'ECC_UNCORRECTABLE' });
    await session.launch('NULL');
    await card.device.reset();
    session = await openSession(card.device);
    words = session.memory + BigInt(PROTECTION_PAGE_BYTES);
    await launch(() => undefined);
    expect(await session.readWords(session.memory, 1)).toEqual([VALUE]);
  });
});
