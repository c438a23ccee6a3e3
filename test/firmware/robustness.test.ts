import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { boot, identify, panicPlace } from '../../src/driver/boot.js';
import { CardRegisters } from '../../src/driver/card-registers.js';
import { CONTROL_CORE, Device, MtiaError, openEmulatorWithDebug } from '../../src/driver/index.js';
import { EXTERNAL_KERNEL_ID, loadBundle, writeBundle } from '../../src/firmware-emu/index.js';
import {
  BOOT_STATUS,
  ERROR_CODES,
  encodeRectangle,
  HOST_COMMAND,
  KERNEL_ID,
  MEMORY_MAP,
  RESERVED,
} from '../../src/hw/index.js';
import { ONE_PE, openCard, openSession, testKernels, WHOLE_GRID } from './card.js';
import { kernelElf } from './kernel-elf.js';

const image = loadBundle();
const LPDDR_BYTES = 2 ** 30;
const PC = 32;

/** Kernels that never end, or run for as long as their arguments say, are stopped by this. */
const DEADLINE_US = 5000;

describe('commands at random', () => {
  it('each get an answer, and leave the device usable', async () => {
    const { device } = await openCard('2i', testKernels());
    await using _closing = device;
    const session = await openSession(device);
    const interesting = [
      0n,
      1n,
      64n,
      4096n,
      session.memory,
      session.memory + 8n,
      session.iova,
      MEMORY_MAP.SRAM.base,
      MEMORY_MAP.LPDDR.base,
      MEMORY_MAP.CONTEXT_SRAM.base,
      0xffff_ffffn,
      0xffff_ffff_ffff_fff8n,
      BigInt(encodeRectangle(ONE_PE)),
      BigInt(encodeRectangle(WHOLE_GRID)),
      ...Object.values(KERNEL_ID).map(BigInt),
      ...Object.values(EXTERNAL_KERNEL_ID).map(BigInt),
    ];
    const word = fc.oneof(fc.constantFrom(...interesting), fc.bigInt(0n, 2n ** 64n - 1n), fc.bigInt(0n, 300n));
    const opcode = fc.oneof(fc.constantFrom(...Object.values(HOST_COMMAND)), fc.nat(255));
    const command = fc.record({ opcode, a: word, b: word, c: word, d: word, deadlineUs: fc.constant(DEADLINE_US) });
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 1, maxLength: 40 }), async (commands) => {
        const answers = await Promise.allSettled(commands.map((one) => session.queue.submit(one)));
        for (const answer of answers) {
          if (answer.status === 'rejected') expect(answer.reason).toBeInstanceOf(MtiaError);
        }
        // A wait for a semaphore that a failed command has poisoned fails what is behind it, up to here.
        await session.queue.submit({ opcode: HOST_COMMAND.RECOVER });
        expect(await session.queue.submit({ opcode: HOST_COMMAND.NOP })).toMatchObject({ jobs: 0 });
      }),
      { numRuns: 60 },
    );
    await session.launch(KERNEL_ID.NULL, [], { rectangle: WHOLE_GRID });
  });

  it('as graphs of random bytes are refused or run', async () => {
    const { device } = await openCard('2i', testKernels());
    await using _closing = device;
    const session = await openSession(device);
    await session.write(session.memory, new Uint8Array(4096));
    const byte = fc.oneof(fc.constant(0), fc.nat(3), fc.nat(255));
    await fc.assert(
      fc.asyncProperty(fc.array(byte, { minLength: 640, maxLength: 640 }), fc.nat(3), async (bytes, jobs) => {
        const graph = Uint8Array.from([...new Uint8Array(64), ...bytes]);
        graph.set([0x4d, 0x54, 0x52, 0x47, 1, 0, 0, 0, jobs], 0);
        await session.write(session.memory, graph);
        const launched = session.queue.submit({
          opcode: HOST_COMMAND.GRAPH_LAUNCH,
          a: session.memory,
          deadlineUs: DEADLINE_US,
        });
        await launched.catch((reason: unknown) => expect(reason).toBeInstanceOf(MtiaError));
      }),
      { numRuns: 200 },
    );
    await session.launch(KERNEL_ID.NULL, [], { rectangle: WHOLE_GRID });
  });
});

describe('a kernel in the bundle', () => {
  const ID = 500;
  const withKernels = (...kernels: readonly Uint8Array[]) => ({
    ...image,
    bytes: writeBundle({
      manifest: image.manifest,
      sections: [
        ...image.sections.filter(({ kind }) => kind !== 'MANIFEST' && kind !== 'SIGNATURE'),
        ...kernels.map((bytes, index) => ({ kind: 'KERNEL' as const, name: `K${index}`, kernelId: ID + index, bytes })),
      ],
    }),
  });

  it('that is no ELF file, or a writable or misplaced one, is refused when it is launched', async () => {
    const misplaced = kernelElf(4, 4);
    new DataView(misplaced.buffer).setBigUint64(80, 0x1004n, true);
    const kernels = [Uint8Array.of(1, 2, 3), kernelElf(4, 4, 7), misplaced, kernelElf(4, 8), kernelElf(0, 0)];
    const { device } = await openCard('2i', withKernels(...kernels));
    await using _closing = device;
    const session = await openSession(device);
    for (const index of kernels.keys()) {
      await expect(session.launch(ID + index)).rejects.toMatchObject({
        code: 'INVALID_KERNEL',
        place: { kernel: ID + index },
      });
    }
    await session.launch(KERNEL_ID.NULL);
  });

  it('that finds no room is refused, and the others run', async () => {
    const half = RESERVED.SRAM_FIRMWARE_BYTES / 2;
    const { device } = await openCard('2i', withKernels(kernelElf(half, 4), kernelElf(half, 4)));
    await using _closing = device;
    const session = await openSession(device);
    // It fits, but there is no code in it.
    await expect(session.launch(ID)).rejects.toMatchObject({ code: 'KERNEL_FAULT' });
    await expect(session.launch(ID + 1)).rejects.toMatchObject({ code: 'OUT_OF_CODE_MEMORY' });
    await session.launch(KERNEL_ID.NULL);
  });

  it('that changes in device memory after the boot is refused', async () => {
    const { pci } = openEmulatorWithDebug({ generation: '2i', lpddrBytes: LPDDR_BYTES });
    const device = await Device.open(pci, image);
    await using _closing = device;
    const session = await openSession(device);
    const section = image.sections.find(({ name }) => name === 'COPY');
    if (section === undefined) throw new Error('the bundle has no kernel COPY');
    new CardRegisters(pci).writeMemory(MEMORY_MAP.LPDDR.base + BigInt(section.offset + 200), Uint8Array.of(0xff));
    await expect(session.launch(KERNEL_ID.COPY)).rejects.toMatchObject({ code: 'INVALID_KERNEL' });
    await session.launch(KERNEL_ID.NULL);
  });
});

async function statusOf(registers: CardRegisters, status: number): Promise<void> {
  while (registers.read32('BOOT_STATUS') !== status) await new Promise(setImmediate);
}

describe('the boot ROM', () => {
  it('reports its own trap', async () => {
    const { pci, debug } = openEmulatorWithDebug({ generation: '2i', lpddrBytes: LPDDR_BYTES });
    const registers = new CardRegisters(pci);
    identify(pci, registers);
    try {
      await statusOf(registers, BOOT_STATUS.ROM_READY);
      debug.halt();
      debug.registerWrite(CONTROL_CORE, 0, PC, 8n);
      debug.resume();
      await statusOf(registers, BOOT_STATUS.FAILED);
      expect(registers.read32('BOOT_ERROR')).toBe(ERROR_CODES.FIRMWARE_PANIC.code);
      expect(panicPlace(registers)).toMatchObject({ cause: 1n, pc: 8n });
      // Only a reset helps, and the driver knows that.
      await boot(pci, registers, image);
    } finally {
      pci.close();
    }
  });

  it('parks every other hart', async () => {
    const { device, debug } = await openCard('2i', image);
    await using _closing = device;
    for (const hart of [0, 1, 2, 3]) expect(debug.waitReason(CONTROL_CORE, hart)).toContain('wfi');
  });

  it('survives bundles of random damage', async () => {
    const { pci } = openEmulatorWithDebug({ generation: '2i', lpddrBytes: LPDDR_BYTES });
    const registers = new CardRegisters(pci);
    identify(pci, registers);
    const edit = fc.tuple(fc.oneof(fc.nat(1300), fc.nat(image.bytes.length - 1)), fc.nat(255));
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 4 }), async (edits) => {
        const bytes = Uint8Array.from(image.bytes);
        for (const [at, value] of edits) bytes[at] = value;
        try {
          await boot(pci, registers, { ...image, bytes });
        } catch (error) {
          expect(error).toMatchObject({ code: expect.stringMatching(/^BOOT_/) });
        }
      }),
      { numRuns: 60 },
    );
    await boot(pci, registers, image);
    pci.close();
  });
});
