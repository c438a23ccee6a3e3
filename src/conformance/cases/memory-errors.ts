/** Flipped bits in LPDDR: who reads them gets what was written, or the word's address. */
import assert from 'node:assert/strict';
import type { CompletionRecord } from '../../driver/index.js';
import type { Bundle, DebugPort } from '../../firmware-emu/index.js';
import {
  COPY_ARGUMENTS,
  encodeGraphImage,
  encodeRectangle,
  encodeStruct,
  GRAPH_HEADER,
  HOST_COMMAND,
  MEMORY_MAP,
} from '../../hw/index.js';
import { category, conformanceCase, unsupported } from '../case.js';
import { equalBytes, rejectsWith } from '../expectations.js';
import type { Fixture } from '../fixture.js';
import { ONE_PE, PAGE_BYTES, type Session } from '../session.js';

const BYTES = 4096;
const BAD_WORD = 1024n;
const ONE_BIT = 1n << 17n;
const TWO_BITS = 0x8000_0000_0000_0001n;

interface Hurt {
  readonly debug: DebugPort;
  readonly session: Session;
}

/** A session on a card whose memory can be hurt. */
async function openHurt(fixture: Fixture): Promise<Hurt> {
  const card = fixture.card();
  const { debug } = card;
  if (debug === undefined) unsupported('the backend gives no debug port');
  return { debug, session: await fixture.session({ on: await fixture.driver({ card }) }) };
}

async function withData(fixture: Fixture): Promise<Hurt & { readonly data: Uint8Array }> {
  const parts = await openHurt(fixture);
  const data = fixture.random.bytes(BYTES);
  await parts.session.write(parts.session.memory, data);
  return { ...parts, data };
}

/** Kernel COPY from the first page to the second. */
async function copyByKernel(session: Session): Promise<Uint8Array> {
  const output = session.memory + BigInt(PAGE_BYTES);
  const bytes = new Uint8Array(COPY_ARGUMENTS.size);
  const rows = { rows: 4, row_bytes: BYTES / 4, input_stride: BYTES / 4, output_stride: BYTES / 4 };
  encodeStruct(COPY_ARGUMENTS, new DataView(bytes.buffer), 0, { input: session.memory, output, ...rows });
  await session.launch('COPY', [...new BigUint64Array(bytes.buffer)]);
  return session.read(output, BYTES);
}

const READERS = {
  'a copy': (session: Session) => session.read(session.memory, BYTES),
  'a kernel': copyByKernel,
} as const;

const readers = Object.entries(READERS).flatMap(([who, read]) => [
  conformanceCase(`corrects a flipped bit for ${who}, once, and counts it`, 'INJ-2', {}, async (fixture) => {
    const { debug, session, data } = await withData(fixture);
    const before = debug.memoryCounters();
    debug.injectError(session.memory + BAD_WORD, ONE_BIT);
    equalBytes(await read(session), data, 'the first read');
    equalBytes(await read(session), data, 'the second read');
    const after = debug.memoryCounters();
    assert.equal(after.eccCorrected - before.eccCorrected, 1n);
    assert.equal(after.eccUncorrectable, before.eccUncorrectable);
  }),

  conformanceCase(`fails ${who} that meets two flipped bits, and goes on`, 'INJ-2', {}, async (fixture) => {
    const { debug, session, data } = await withData(fixture);
    debug.injectError(session.memory + BAD_WORD, TWO_BITS);
    const error = await rejectsWith('ECC_UNCORRECTABLE', read(session));
    assert.equal(error.place?.value, session.memory + BAD_WORD);
    await rejectsWith('ECC_UNCORRECTABLE', read(session));
    equalBytes(await session.read(session.memory, Number(BAD_WORD)), data.subarray(0, Number(BAD_WORD)), 'before it');
    await session.write(session.memory, data);
    equalBytes(await read(session), data, 'after it was written');
  }),
]);

/** What the kernel writes for the latest launch: a launch that went by older words would write another. */
let latest = 4711n;

const wordsOf = (session: Session): bigint => session.memory + BigInt(PAGE_BYTES);
const graphOf = (session: Session): bigint => session.memory + BigInt(2 * PAGE_BYTES);

/** `hurt` is called when all is written that the firmware will read. */
type Run = (session: Session, hurt: () => void) => Promise<CompletionRecord>;

const launch: Run = async (session, hurt) => {
  await session.writeWords(wordsOf(session), [session.memory, ++latest]);
  hurt();
  const command = { opcode: HOST_COMMAND.LAUNCH, a: session.kernel('RECORD'), b: wordsOf(session), c: 16 };
  return session.submit({ ...command, d: encodeRectangle(ONE_PE) });
};

/** Three jobs whose first argument comes from a segment. */
const launchGraph: Run = async (session, hurt) => {
  const kernel = session.kernel('RECORD');
  const job = { kernel, flags: 0, rectangle: ONE_PE, words: [0n, ++latest], segments: [1, 0] };
  await session.write(graphOf(session), encodeGraphImage([job, job, job], 1));
  await session.writeWords(wordsOf(session), [session.memory]);
  hurt();
  return session.submit({ opcode: HOST_COMMAND.GRAPH_LAUNCH, a: graphOf(session), b: wordsOf(session), c: 1 });
};

const PLACES: readonly (readonly [what: string, run: Run, place: (session: Session) => bigint])[] = [
  ['the first word of launch arguments', launch, wordsOf],
  ['the last word of launch arguments', launch, (session) => wordsOf(session) + 8n],
  ['the header of a graph', launchGraph, graphOf],
  ['a job of a graph', launchGraph, (session) => graphOf(session) + BigInt(GRAPH_HEADER.size)],
  ["the addresses of a graph's segments", launchGraph, wordsOf],
];

const firmwareReads = PLACES.flatMap(([what, run, place]) => [
  conformanceCase(`corrects a flipped bit in ${what}, and counts it`, 'INJ-3', {}, async (fixture) => {
    const { debug, session } = await openHurt(fixture);
    const before = debug.memoryCounters();
    await run(session, () => debug.injectError(place(session), ONE_BIT));
    assert.deepEqual(await session.readWords(session.memory, 1), [latest]);
    const after = debug.memoryCounters();
    assert.equal(after.eccCorrected - before.eccCorrected, 1n);
    assert.equal(after.eccUncorrectable, before.eccUncorrectable);
  }),

  conformanceCase(`fails a command by name that has lost ${what}, and goes on`, 'INJ-3', {}, async (fixture) => {
    const { debug, session } = await openHurt(fixture);
    await run(session, () => undefined);
    const failed = run(session, () => debug.injectError(place(session), TWO_BITS));
    const error = await rejectsWith('ECC_UNCORRECTABLE', failed);
    assert.equal(error.place?.value, place(session));
    await run(session, () => undefined);
    assert.deepEqual(await session.readWords(session.memory, 1), [latest]);
  }),
]);

/** In the bundle, which lies at the base of LPDDR, and well inside of the kernel's file. */
function placeInKernel(fixture: Fixture, name: string): bigint {
  const section = (fixture.firmware as Bundle).sections.find((one) => one.name === name);
  assert.ok(section !== undefined, `the bundle has no kernel ${name}`);
  return MEMORY_MAP.LPDDR.base + BigInt(section.offset + 128);
}

const loads = [
  conformanceCase('corrects a flipped bit in a kernel that is not loaded yet', 'INJ-3', {}, async (fixture) => {
    const { debug, session } = await openHurt(fixture);
    const before = debug.memoryCounters();
    debug.injectError(placeInKernel(fixture, 'RECORD'), ONE_BIT);
    await session.expectWorking();
    assert.equal(debug.memoryCounters().eccCorrected - before.eccCorrected, 1n);
  }),

  conformanceCase(
    'fails the launches of a kernel that is lost before it is loaded, until a reset',
    'INJ-3',
    {},
    async (fixture) => {
      const card = fixture.card();
      const { debug } = card;
      if (debug === undefined) unsupported('the backend gives no debug port');
      const device = await fixture.driver({ card });
      const session = await fixture.session({ on: device });
      debug.injectError(placeInKernel(fixture, 'RECORD'), TWO_BITS);
      for (let time = 0; time < 2; time++) {
        await rejectsWith(
          'ECC_UNCORRECTABLE',
          launch(session, () => undefined),
        );
        await session.launch('NULL');
      }
      await device.reset();
      await (await fixture.session({ on: device })).expectWorking();
    },
  ),
];

export const memoryErrorCases = category('fault injection', { requires: ['kernels', 'error correction', 'debug'] }, [
  ...readers,
  ...firmwareReads,
  ...loads,
]);
