/** Random programs, and random bytes wherever the device takes bytes. */
import assert from 'node:assert/strict';
import { MtiaError } from '../../driver/index.js';
import { HOST_COMMAND, PCI, registerOffset } from '../../hw/index.js';
import { Device } from '../../streaming-api/index.js';
import { category, conformanceCase } from '../case.js';
import { equalBytes, settlesWithin } from '../expectations.js';
import type { Fixture } from '../fixture.js';
import { ContextProgram, type ContextStep, randomContextProgram } from '../programs/contexts.js';
import { copyGraph, ROW_ELEMENTS } from '../programs/copy-graph.js';
import { type ProgramOptions, randomProgram } from '../programs/random-program.js';
import { shrink } from '../programs/shrink.js';
import type { Step } from '../programs/step.js';
import { WHOLE_GRID } from '../session.js';
import { failureOf } from '../soak.js';

const PROGRAM_DEADLINE_MS = 30_000;
const SHRINK_MS = 5_000;
/** Enough that the number of a context, and its pages, come to somebody else. */
const CONTEXT_STEPS = 300;

/** Fails with a program that is as short as it would get. */
async function expectProgram(fixture: Fixture, options: ProgramOptions): Promise<void> {
  const { backend, firmware } = fixture;
  const seed = fixture.random.integer(0, 2 ** 31);
  const program = randomProgram(fixture.random, options);
  const failure = await failureOf(backend, firmware, seed, program);
  if (failure === undefined) return;
  const fails = async (part: readonly Step[]): Promise<boolean> =>
    (await failureOf(backend, firmware, seed, part)) !== undefined;
  const short = await shrink(program, fails, SHRINK_MS);
  const steps = short.map((step) => JSON.stringify(step)).join('\n');
  assert.fail(`${failure}\nshortest program found that fails:\n${steps}`);
}

const programs = [1, 2, 3, 4, 5, 6].map((number) =>
  conformanceCase(`ends random program ${number} with the bytes that it must`, 'FUZ-1', {}, (fixture) =>
    expectProgram(fixture, { steps: 100 }),
  ),
);

const faultyPrograms = [1, 2].map((number) =>
  conformanceCase(`ends random program ${number} though interrupts go wrong`, 'FUZ-1', {}, (fixture) =>
    expectProgram(fixture, { steps: 60, faults: true }),
  ),
);

/** Of four programs on devices of their own three in ten let a theft of memory pass. */
const REUSE_PROGRAMS = 4;

const reusePrograms = [1, 2, 3].map((number) =>
  conformanceCase(
    `ends programs that pass memory from stream to stream, round ${number}`,
    'FUZ-1',
    {},
    async (fixture) => {
      for (let count = 0; count < REUSE_PROGRAMS; count++) await expectProgram(fixture, { steps: 600, reuse: true });
    },
  ),
);

const contextPrograms = [1, 2].map((number) =>
  conformanceCase(
    `keeps several contexts apart that open, close and are reset, program ${number}`,
    'FUZ-1',
    { requires: ['kernels', 'isolation', 'queues'] },
    async (fixture) => {
      const { firmware } = fixture;
      const failure = async (program: readonly ContextStep[]): Promise<string | undefined> => {
        const device = await fixture.driver();
        try {
          await new ContextProgram(device, firmware).run(program);
          return undefined;
        } catch (error) {
          return String(error);
        } finally {
          await device.close();
        }
      };
      const program = randomContextProgram(fixture.random, CONTEXT_STEPS);
      const found = await failure(program);
      if (found === undefined) return;
      const short = await shrink(program, async (part) => (await failure(part)) !== undefined, SHRINK_MS);
      assert.fail(
        `${found}\nshortest program found that fails:\n${short.map((step) => JSON.stringify(step)).join('\n')}`,
      );
    },
  ),
);

/** Numbers at which fields change their meaning. */
const EDGES = [
  0n,
  1n,
  3n,
  63n,
  64n,
  65n,
  4096n,
  0x7fff_ffffn,
  0xffff_ffffn,
  0x1_0000_0000n,
  (1n << 63n) - 1n,
  (1n << 64n) - 1n,
];

const fields = (fixture: Fixture, places: readonly bigint[]): bigint => {
  const { random } = fixture;
  const kind = random.integer(0, 3);
  if (kind === 0) return random.pick(EDGES);
  if (kind === 1) return BigInt(random.integer(0, 255));
  return random.pick(places) + BigInt(random.integer(-1, 1) * random.integer(0, 70_000));
};

const submissions = [1, 2, 3].map((number) =>
  conformanceCase(`answers random commands, round ${number}`, 'FUZ-2', { requires: ['kernels'] }, async (fixture) => {
    const { random } = fixture;
    const session = await fixture.session();
    const places = [session.memory, session.memory + BigInt(session.memoryBytes), session.iova];
    const work = Array.from({ length: 150 }, () =>
      session.submit({
        opcode: random.integer(0, 3) === 0 ? random.integer(0, 255) : random.pick(Object.values(HOST_COMMAND)),
        a: BigInt.asUintN(64, fields(fixture, places)),
        b: BigInt.asUintN(64, fields(fixture, places)),
        c: BigInt.asUintN(64, fields(fixture, places)),
        d: BigInt.asUintN(64, fields(fixture, places)),
        deadlineUs: 5_000,
      }),
    );
    for (const outcome of await Promise.allSettled(work)) {
      if (outcome.status === 'rejected') assert.ok(outcome.reason instanceof MtiaError, String(outcome.reason));
    }
    await session.expectWorking();
  }),
);

/** A model with some bytes changed: what the firmware makes of it is its business, what the device does after is ours. */
const graphs = [1, 2].map((number) =>
  conformanceCase(`answers damaged graphs, round ${number}`, 'FUZ-2', { requires: ['kernels'] }, async (fixture) => {
    const { random, backend } = fixture;
    const device = await fixture.device();
    const whole = copyGraph(backend.generation, 2);
    const x = Float32Array.from({ length: 2 * ROW_ELEMENTS }, (_, index) => index);
    for (let time = 0; time < 25; time++) {
      const image = whole.image.slice();
      for (let flips = random.integer(1, 4); flips > 0; flips--) {
        image[random.integer(0, image.length - 1)] = random.integer(0, 255);
      }
      const model = await device.loadModel({ ...whole, image });
      await model.run({ x }, { deadlineMs: 20 }).catch((error: unknown) => {
        assert.ok(error instanceof MtiaError, String(error));
      });
      await model.close();
    }
    await device.defaultStream.synchronize().catch(() => undefined);
    const model = await device.loadModel(whole);
    const { outputs } = await model.run({ x });
    assert.deepEqual(outputs.y, x);
  }),
);

const registers = [1, 2].map((number) =>
  conformanceCase(
    `opens after random writes to registers and a reset, round ${number}`,
    'FUZ-2',
    { requires: ['registers'] },
    async (fixture) => {
      const { random } = fixture;
      const { pci } = fixture.card();
      for (let time = 0; time < 2000; time++) {
        const width = random.pick([4, 8] as const);
        const anywhere = random.integer(0, PCI.BAR0_BYTES / width - 1) * width;
        const inQueues = PCI.QUEUE_PAGE_OFFSET + random.integer(0, 8 * (PCI.QUEUE_PAGE_BYTES / 8)) * 8;
        const low = random.integer(0, 64) * 8;
        const value = BigInt.asUintN(8 * width, random.pick(EDGES) + BigInt(random.integer(0, 3)));
        pci.barWrite(0, random.pick([anywhere, inQueues, low]), width, value);
      }
      pci.functionReset();
      const session = await fixture.session({ on: await fixture.driver({ card: { pci } }) });
      await session.roundTrip(session.memory, random.bytes(3000));
      await session.expectWorking();
    },
  ),
);

export const stressCases = [
  ...category('stress and fuzz', { requires: ['kernels'], deadlineMs: PROGRAM_DEADLINE_MS }, [
    ...programs,
    ...faultyPrograms,
    ...reusePrograms,
    ...contextPrograms,
    conformanceCase('ends a program with cards that are closed, reset and ejected under load', 'FUZ-1', {}, (fixture) =>
      expectProgram(fixture, { steps: 100, faults: true, restarts: true }),
    ),
  ]),
  ...category('stress and fuzz', {}, [
    ...submissions,
    ...graphs,
    ...registers,

    conformanceCase('refuses bundles of random bytes', 'FUZ-2', {}, async (fixture) => {
      const { random, firmware } = fixture;
      for (let time = 0; time < 6; time++) {
        const bytes = firmware.bytes.slice();
        const [at, length] = [random.integer(0, bytes.length - 65), random.integer(1, 64)];
        for (let index = at; index < at + length; index++) bytes[index] = (bytes[index] ?? 0) ^ random.integer(1, 255);
        const opening = Device.open({ pci: fixture.card().pci, firmware: bytes, allowUnsignedFirmware: true });
        opening.catch(() => undefined);
        await settlesWithin(8_000, 'open', opening);
        const failure = await opening.then(
          (device) => device.close(),
          (error: unknown) => error,
        );
        assert.ok(failure instanceof MtiaError, `a bundle with ${length} wrong bytes at ${at}: ${failure}`);
      }
    }),

    conformanceCase('takes doorbells of any value', 'FUZ-2', { requires: ['kernels', 'memory'] }, async (fixture) => {
      const { random } = fixture;
      const card = fixture.card();
      const session = await fixture.session({ on: await fixture.driver({ card }) });
      const tail = registerOffset('QUEUE_PAGE', 'SUBMISSION_TAIL');
      // Queues beside the one of the session: nobody has enabled them.
      for (let queue = 4; queue < 24; queue++) {
        const offset = PCI.QUEUE_PAGE_OFFSET + queue * PCI.QUEUE_PAGE_BYTES + tail;
        card.pci.barWrite(0, offset, 4, random.integer(0, 2 ** 32 - 1));
      }
      const data = random.bytes(500);
      await session.write(session.memory, data);
      equalBytes(await session.read(session.memory, 500), data, 'after the doorbells');
      await session.expectWorking(WHOLE_GRID);
    }),
  ]),
];
