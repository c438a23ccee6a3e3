/** Configuration space and base address registers, before any firmware runs. */
import assert from 'node:assert/strict';
import type { PciFunction, RegisterWidth } from '../../driver/index.js';
import { MEMORY_MAP, PCI, REGISTER_BLOCKS, type Register, registerOffset, SPECIFICATIONS } from '../../hw/index.js';
import { category, conformanceCase } from '../case.js';
import { equalBytes, rejectsWith } from '../expectations.js';
import type { Fixture } from '../fixture.js';
import { FIRST_ADDRESS } from '../session.js';

const COMMAND = 4;
const MEMORY_SPACE = 2;
const BUS_MASTER = 4;
const BAR0_OFFSET = 0x10;
const CAPABILITIES_POINTER = 0x34;
const MSIX_CAPABILITY = 0x11;
const ALL_ONES_32 = 0xffff_ffffn;

/** Numbers that would be others if they were cut down to 32 bits. */
const NO_OFFSETS = [-4, 2 ** 32, 2 ** 32 + 4, 0.5, Number.NaN] as const;

/** A card that answers memory accesses. */
function enabledCard(fixture: Fixture): PciFunction {
  const { pci } = fixture.card();
  pci.configWrite(COMMAND, 2, MEMORY_SPACE | BUS_MASTER);
  return pci;
}

const registersOf = (block: string): readonly Register[] =>
  REGISTER_BLOCKS.find(({ name }) => name === block)?.registers ?? [];

const widthOf = (register: Register): 4 | 8 => (register.bits === 64 ? 8 : 4);

/** Registers whose value is not fixed before firmware runs. */
const ALIVE: ReadonlySet<string> = new Set(['DEVICE_TIME', 'BOOT_STATUS', 'RESET_COUNT']);

const PATTERNS = [0n, 0x5555_5555_5555_5555n, 0xaaaa_aaaa_aaaa_aaaan, 0xffff_ffff_ffff_ffffn];

function expectReset(pci: PciFunction, register: Register, base: number): void {
  if (register.reset === 'specification' || ALIVE.has(register.name)) return;
  const value = pci.barRead(0, base + register.offset, widthOf(register));
  assert.equal(value, register.access === 'WO' ? 0n : register.reset, `${register.name} after reset`);
}

function expectReadOnly(pci: PciFunction, register: Register, base: number): void {
  const width = widthOf(register);
  const before = pci.barRead(0, base + register.offset, width);
  for (const pattern of PATTERNS) pci.barWrite(0, base + register.offset, width, BigInt.asUintN(width * 8, pattern));
  assert.equal(pci.barRead(0, base + register.offset, width), before, `${register.name} is read-only`);
}

const queuePage = (queue: number): number => PCI.QUEUE_PAGE_OFFSET + queue * PCI.QUEUE_PAGE_BYTES;

export const registerCases = category('config and BAR', { requires: ['registers'] }, [
  conformanceCase('identifies vendor and generation', 'PCI-1', {}, async (fixture) => {
    const { pci } = fixture.card();
    const device = fixture.backend.generation === 'v1' ? PCI.DEVICE_ID_V1 : PCI.DEVICE_ID_2I;
    assert.equal(pci.configRead(0, 2), PCI.VENDOR_ID);
    assert.equal(pci.configRead(2, 2), device);
    assert.equal(pci.configRead(8, 4) >>> 8, PCI.CLASS_CODE);
  }),

  conformanceCase('reads configuration space alike at every width', 'PCI-1', {}, async (fixture) => {
    const { pci } = fixture.card();
    for (let offset = 0; offset < 256; offset += 4) {
      const whole = pci.configRead(offset, 4);
      const halves = pci.configRead(offset, 2) + pci.configRead(offset + 2, 2) * 0x1_0000;
      const bytes = [0, 1, 2, 3].reduce((sum, at) => sum + pci.configRead(offset + at, 1) * 2 ** (8 * at), 0);
      assert.equal(halves, whole, `halves at 0x${offset.toString(16)}`);
      assert.equal(bytes, whole, `bytes at 0x${offset.toString(16)}`);
    }
  }),

  conformanceCase('keeps read-only fields of configuration space', 'PCI-2', {}, async (fixture) => {
    const { pci } = fixture.card();
    for (const offset of [0, 8, 0x2c]) {
      const before = pci.configRead(offset, 4);
      pci.configWrite(offset, 4, 0xffff_ffff);
      pci.configWrite(offset, 4, 0);
      assert.equal(pci.configRead(offset, 4), before, `0x${offset.toString(16)}`);
    }
  }),

  conformanceCase('answers the sizing protocol of base address register 0', 'PCI-2', {}, async (fixture) => {
    const { pci } = fixture.card();
    const before = pci.configRead(BAR0_OFFSET, 4);
    pci.configWrite(BAR0_OFFSET, 4, 0xffff_ffff);
    const mask = pci.configRead(BAR0_OFFSET, 4) & ~0xf;
    assert.equal(-mask, PCI.BAR0_BYTES);
    pci.configWrite(BAR0_OFFSET, 4, before);
    assert.equal(pci.configRead(BAR0_OFFSET, 4), before);
  }),

  conformanceCase('lists an MSI-X capability', 'PCI-1', {}, async (fixture) => {
    const { pci } = fixture.card();
    let at = pci.configRead(CAPABILITIES_POINTER, 1);
    for (let hops = 0; at !== 0 && hops < 48; hops++) {
      if (pci.configRead(at, 1) === MSIX_CAPABILITY) return;
      at = pci.configRead(at + 1, 1);
    }
    assert.fail('no MSI-X capability in the list');
  }),

  conformanceCase('reads all ones while memory space is disabled', 'PCI-3', {}, async (fixture) => {
    const pci = enabledCard(fixture);
    const windowBase = registersOf('BAR0').find(({ name }) => name === 'WINDOW_BASE')?.offset ?? 0;
    pci.barWrite(0, windowBase, 8, 0x1234_0000n);
    pci.configWrite(COMMAND, 2, 0);
    assert.equal(pci.barRead(0, 0, 4), ALL_ONES_32);
    pci.barWrite(0, windowBase, 8, 0n);
    pci.configWrite(COMMAND, 2, MEMORY_SPACE);
    assert.equal(pci.barRead(0, windowBase, 8), 0x1234_0000n);
  }),

  ...['BAR0', 'QUEUE_PAGE'].flatMap((block) => [
    conformanceCase(`has the reset values of ${block} after power-on`, 'PCI-4', {}, async (fixture) => {
      const pci = enabledCard(fixture);
      const base = block === 'BAR0' ? 0 : queuePage(1);
      for (const register of registersOf(block)) expectReset(pci, register, base);
    }),

    conformanceCase(`has the reset values of ${block} after a function reset`, 'PCI-4', {}, async (fixture) => {
      const pci = enabledCard(fixture);
      const base = block === 'BAR0' ? 0 : queuePage(1);
      for (const register of registersOf(block)) {
        if (register.access === 'RW' && register.name !== 'ENABLE') {
          pci.barWrite(0, base + register.offset, widthOf(register), 0x40n);
        }
      }
      pci.functionReset();
      for (const register of registersOf(block)) expectReset(pci, register, base);
    }),

    conformanceCase(`ignores writes to read-only registers of ${block}`, 'PCI-5', {}, async (fixture) => {
      const pci = enabledCard(fixture);
      const base = block === 'BAR0' ? 0 : queuePage(1);
      for (const register of registersOf(block)) {
        if (register.access === 'RO' && !ALIVE.has(register.name)) expectReadOnly(pci, register, base);
      }
    }),

    conformanceCase(`keeps what is written to read-write registers of ${block}`, 'PCI-5', {}, async (fixture) => {
      const pci = enabledCard(fixture);
      const base = block === 'BAR0' ? 0 : queuePage(1);
      for (const register of registersOf(block)) {
        if (register.access !== 'RW' || register.name === 'ENABLE') continue;
        pci.barWrite(0, base + register.offset, widthOf(register), 0x40n);
        assert.equal(pci.barRead(0, base + register.offset, widthOf(register)), 0x40n, register.name);
      }
    }),
  ]),

  conformanceCase('keeps the registers of one queue page apart from the next', 'PCI-5', {}, async (fixture) => {
    const pci = enabledCard(fixture);
    const vector = registerOffset('QUEUE_PAGE', 'VECTOR');
    const queues = Number(pci.barRead(0, registerOffset('BAR0', 'QUEUES'), 4));
    for (let queue = 0; queue < queues; queue++) pci.barWrite(0, queuePage(queue) + vector, 4, queue);
    for (let queue = 0; queue < queues; queue++) {
      assert.equal(pci.barRead(0, queuePage(queue) + vector, 4), BigInt(queue));
    }
  }),

  conformanceCase('refuses accesses that are unaligned or out of range', 'PCI-6', {}, async (fixture) => {
    const pci = enabledCard(fixture);
    const wrong: readonly (() => unknown)[] = [
      () => pci.barRead(0, 2, 4),
      () => pci.barRead(0, 4, 8),
      () => pci.barRead(0, PCI.BAR0_BYTES, 4),
      () => pci.barRead(1, 0, 4),
      ...NO_OFFSETS.flatMap((offset) => [
        () => pci.barRead(0, offset, 4),
        () => pci.barWrite(0, offset, 4, 0),
        () => pci.barReadBlock(2, offset, 4),
        () => pci.barWriteBlock(2, offset, new Uint8Array(4)),
      ]),
      () => pci.barWrite(0, 1, 4, 0),
      () => pci.barWrite(0, PCI.BAR0_BYTES - 4, 8, 0n),
      () => pci.barReadBlock(2, PCI.BAR2_BYTES - 1, 2),
      () => pci.barWriteBlock(2, PCI.BAR2_BYTES, new Uint8Array(1)),
    ];
    for (const access of wrong) await rejectsWith('CHIP_BAD_ARGUMENT', access);
  }),

  conformanceCase('refuses accesses of widths that there are not', 'PCI-6', {}, async (fixture) => {
    const pci = enabledCard(fixture);
    const before = pci.barRead(0, registerOffset('BAR0', 'WINDOW_BASE'), 8);
    for (const width of [0, 1, 2, 3, 16] as unknown as readonly RegisterWidth[]) {
      await rejectsWith('CHIP_BAD_ARGUMENT', () => pci.barRead(0, 0, width));
      const at = registerOffset('BAR0', 'WINDOW_BASE');
      await rejectsWith('CHIP_BAD_ARGUMENT', () => pci.barWrite(0, at, width, 1));
    }
    assert.equal(pci.barRead(0, registerOffset('BAR0', 'WINDOW_BASE'), 8), before);
  }),

  conformanceCase(
    'refuses accesses to configuration space that are unaligned or out of range',
    'PCI-6',
    {},
    async (fixture) => {
      const { pci } = fixture.card();
      const before = pci.configRead(COMMAND, 4);
      for (const [offset, width] of [
        [1, 2],
        [2, 4],
        [3, 4],
        [4096, 1],
        [4094, 4],
        [-4, 4],
        [COMMAND, 3 as 4],
        [COMMAND, 8 as 4],
      ] as const) {
        await rejectsWith('CHIP_BAD_ARGUMENT', () => pci.configRead(offset, width));
        await rejectsWith('CHIP_BAD_ARGUMENT', () => pci.configWrite(offset, width, 0xff));
      }
      assert.equal(pci.configRead(COMMAND, 4), before);
    },
  ),

  conformanceCase('has nothing between the registers', 'PCI-6', {}, async (fixture) => {
    const pci = enabledCard(fixture);
    const last = Math.max(...registersOf('BAR0').map(({ offset }) => offset));
    const gap = (last + 0x100) & ~7;
    pci.barWrite(0, gap, 8, 0xffff_ffff_ffff_ffffn);
    assert.ok([0n, 0xffff_ffff_ffff_ffffn].includes(pci.barRead(0, gap, 8)));
    assert.equal(pci.barRead(0, 0, 4), 0x4149544dn);
  }),

  conformanceCase('shows device memory through the window', 'PCI-7', {}, async (fixture) => {
    const pci = enabledCard(fixture);
    const windowBase = registersOf('BAR0').find(({ name }) => name === 'WINDOW_BASE')?.offset ?? 0;
    const data = fixture.random.bytes(4099);
    pci.barWrite(0, windowBase, 8, FIRST_ADDRESS);
    pci.barWriteBlock(2, 13, data);
    equalBytes(pci.barReadBlock(2, 13, data.length), data, 'the window');
    pci.barWrite(0, windowBase, 8, FIRST_ADDRESS + 13n);
    equalBytes(pci.barReadBlock(2, 0, data.length), data, 'the window after it moved');
  }),

  conformanceCase('shows nothing where no memory is', 'PCI-7', {}, async (fixture) => {
    const pci = enabledCard(fixture);
    const windowBase = registersOf('BAR0').find(({ name }) => name === 'WINDOW_BASE')?.offset ?? 0;
    for (const base of [0n, MEMORY_MAP.SRAM.base - 0x1000_0000n, (1n << 64n) - 4096n]) {
      pci.barWrite(0, windowBase, 8, base);
      pci.barWriteBlock(2, 0, new Uint8Array(64));
      equalBytes(pci.barReadBlock(2, 0, 64), new Uint8Array(64).fill(0xff), `window at 0x${base.toString(16)}`);
    }
  }),

  conformanceCase('reads a 64-bit register as one', 'PCI-8', {}, async (fixture) => {
    const pci = enabledCard(fixture);
    const offset = registersOf('BAR0').find(({ name }) => name === 'DEVICE_TIME')?.offset ?? 0;
    let before = 0n;
    for (let looks = 0; looks < 1000; looks++) {
      const now = pci.barRead(0, offset, 8);
      assert.ok(now >= before, `device time went from ${before} back to ${now}`);
      before = now;
    }
  }),

  conformanceCase('reads 64-bit registers in halves as well', 'PCI-8', {}, async (fixture) => {
    const pci = enabledCard(fixture);
    const offset = registersOf('BAR0').find(({ name }) => name === 'WINDOW_BASE')?.offset ?? 0;
    pci.barWrite(0, offset, 4, 0x89ab_0000);
    pci.barWrite(0, offset + 4, 4, 0x12);
    assert.equal(pci.barRead(0, offset, 8), 0x12_89ab_0000n);
    assert.equal(pci.barRead(0, offset + 4, 4), 0x12n);
  }),

  conformanceCase('says how much memory it has', 'DISC-1', {}, async (fixture) => {
    const pci = enabledCard(fixture);
    const read = (name: string, width: 4 | 8): bigint =>
      pci.barRead(0, registersOf('BAR0').find((register) => register.name === name)?.offset ?? 0, width);
    const { gridWidth, gridHeight, generationNumber } = SPECIFICATIONS[fixture.backend.generation];
    assert.equal(read('GENERATION', 4), BigInt(generationNumber.value));
    assert.equal(read('GRID', 4), BigInt(gridWidth.value + gridHeight.value * 256));
    assert.ok(read('SRAM_BYTES', 8) > 0n);
    assert.ok(read('LPDDR_BYTES', 8) > 0n);
  }),
]);
