import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allStructs, renderCHeader } from '../../src/hw/c-header.js';
import { renderDocumentation } from '../../src/hw/documentation.js';
import {
  COMMAND_REGISTERS,
  COMPLETION,
  decodeRectangle,
  decodeStruct,
  defineStruct,
  ERROR_CODES,
  encodeRectangle,
  encodeStruct,
  FIELD_BYTES,
  LIMITS,
  MML_CONTEXT_REGISTERS,
  NOT_MODELLED,
  PUBLISHED_FIGURES,
  placeFields,
  placeOfOperand,
  REGIONS,
  REGISTER_BLOCKS,
  registerOffset,
  SPECIFICATION_FIGURES,
  SPECIFICATIONS,
  UNIT_COMMANDS,
  V1_LIMITS,
} from '../../src/hw/index.js';

describe('memory map', () => {
  it('has no two regions that overlap in one view', () => {
    for (const a of REGIONS) {
      for (const b of REGIONS) {
        const sameView = a.seenBy === b.seenBy || a.seenBy === 'both' || b.seenBy === 'both';
        if (a === b || !sameView) continue;
        expect(a.base + a.size <= b.base || b.base + b.size <= a.base, `${a.name} overlaps ${b.name}`).toBe(true);
      }
    }
  });

  it('keeps local memory within reach of pc-relative code in SRAM (2 GiB)', () => {
    const base = (name: string): bigint => REGIONS.find((r) => r.name === name)?.base ?? 0n;
    expect(base('SRAM') + 16n * 1024n * 1024n - base('PE_LOCAL')).toBeLessThan(1n << 31n);
  });
});

describe('registers', () => {
  it.each(REGISTER_BLOCKS.map((block) => [block.name, block] as const))('%s: aligned, no two overlap', (_, block) => {
    const ranges = block.registers.flatMap((r) =>
      Array.from({ length: r.count ?? 1 }, (_unused, i) => {
        const start = r.offset + i * (r.stride ?? 0);
        expect(start % (r.bits / 8), `${r.name} alignment`).toBe(0);
        return { name: r.name, start, end: start + r.bits / 8 };
      }),
    );
    const sorted = ranges.toSorted((a, b) => a.start - b.start);
    for (const [i, range] of sorted.entries()) {
      const next = sorted[i + 1];
      if (next !== undefined) expect(range.end, `${range.name} and ${next.name}`).toBeLessThanOrEqual(next.start);
    }
  });

  it('refuses a register that does not exist', () => {
    expect(() => registerOffset('BAR0', 'NO_SUCH_REGISTER')).toThrow(RangeError);
    expect(registerOffset('TIMER', 'MTIMECMP', 2)).toBe(0x18);
  });
});

describe('unit commands', () => {
  it('have unique codes that fit funct7', () => {
    const codes = UNIT_COMMANDS.map((c) => c.code);
    expect(new Set(codes).size).toBe(codes.length);
    expect(Math.max(...codes)).toBeLessThan(128);
  });

  it.each(UNIT_COMMANDS.map((c) => [c.name, c] as const))('%s: fields of one source do not overlap', (_, command) => {
    for (const a of command.fields) {
      expect(a.low + a.bits).toBeLessThanOrEqual(64);
      for (const b of command.fields) {
        if (a === b || a.from !== b.from) continue;
        expect(a.low + a.bits <= b.low || b.low + b.bits <= a.low, `${a.name} overlaps ${b.name}`).toBe(true);
      }
    }
  });
});

describe('what MTIA v1 does not allow', () => {
  it.each(V1_LIMITS.map((limit) => [`${limit.commands.join(', ')}: ${limit.source}`, limit] as const))(
    '%s',
    (_, { commands, operand, where, source }) => {
      for (const name of commands) {
        const command = UNIT_COMMANDS.find((one) => one.name === name);
        if (command === undefined) throw new Error(`no unit command ${name}`);
        for (const one of [operand, where?.operand]) {
          const { low, bits } = placeOfOperand(command, one);
          expect(bits).toBeGreaterThan(0);
          expect(low + bits).toBeLessThanOrEqual(64);
        }
      }
      expect(source).toMatch(/^(I23|I25)/);
    },
  );

  it('names fields and registers that exist', () => {
    const command = UNIT_COMMANDS[0];
    if (command === undefined) throw new Error('no unit command');
    expect(() => placeOfOperand(command, 'no such field')).toThrow(RangeError);
    expect(() => placeOfOperand(command, { register: 'NONE', low: 0, bits: 1 })).toThrow(RangeError);
  });
});

describe('command registers', () => {
  it('have indices of their own, also in every context', () => {
    const indices = COMMAND_REGISTERS.flatMap(({ index, count = 1 }) =>
      Array.from({ length: count }, (_, context) => index + context * MML_CONTEXT_REGISTERS),
    );
    expect(new Set(indices).size).toBe(indices.length);
    expect(Math.max(...indices)).toBeLessThan(LIMITS.COMMAND_REGISTERS);
  });
});

describe('error codes', () => {
  const codes = Object.values(ERROR_CODES).map((e) => e.code);

  it('are unique, and stand in the order of their numbers', () => {
    expect(codes).toEqual([...new Set(codes)].sort((a, b) => a - b));
  });
});

describe('rectangles', () => {
  it('are decoded as they were encoded', () => {
    const byte = fc.integer({ min: 0, max: 255 });
    fc.assert(
      fc.property(fc.record({ column: byte, row: byte, columns: byte, rows: byte }), (rectangle) => {
        expect(decodeRectangle(encodeRectangle(rectangle))).toEqual(rectangle);
      }),
    );
    expect(encodeRectangle({ columns: 8, rows: 4 })).toBe(0x0408_0000);
  });

  it.each([{ column: 256 }, { row: -1 }, { columns: 1.5 }, { rows: Number.NaN }])('refuse %o', (change) => {
    expect(() => encodeRectangle({ columns: 1, rows: 1, ...change })).toThrow(RangeError);
  });
});

describe('specifications', () => {
  it('name a source for every figure', () => {
    for (const generation of ['v1', '2i'] as const) {
      for (const name of SPECIFICATION_FIGURES) expect(SPECIFICATIONS[generation][name].source).not.toBe('');
    }
  });

  it('give the rest of the data sheet with a source for both generations, and a reason for what is not emulated', () => {
    for (const { name, of } of PUBLISHED_FIGURES) {
      for (const generation of ['v1', '2i'] as const) {
        expect(of[generation].value, name).not.toBe('');
        expect(of[generation].source, name).toMatch(/^(I23|I25|I26|HC24|B24)/);
      }
    }
    for (const { feature, source, why } of NOT_MODELLED) {
      expect(source, feature).toMatch(/^(I23|I25|HC24)/);
      expect(why, feature).not.toBe('');
    }
  });

  it('agree with the published peak: MACs x PEs x clock = TOPS (within rounding of the papers)', () => {
    for (const generation of ['v1', '2i'] as const) {
      const s = SPECIFICATIONS[generation];
      const tops =
        (32 * s.dpeBytesOfKPerCycle.value * 2 * s.gridWidth.value * s.gridHeight.value * s.clockMHz.value) / 1e6;
      expect(tops / s.int8Tops.value).toBeCloseTo(1, 1);
    }
  });
});

describe('structure layouts', () => {
  it.each(allStructs().map((s) => [s.name, s] as const))('%s: what is encoded is decoded', (_, layout) => {
    const fields = placeFields(layout);
    const value = fc.record(
      Object.fromEntries(
        fields.map((f) => [f.name, fc.bigInt({ min: 0n, max: (1n << BigInt(FIELD_BYTES[f.type] * 8)) - 1n })]),
      ),
    );
    fc.assert(
      fc.property(value, (values) => {
        const view = new DataView(new ArrayBuffer(layout.size + 8));
        encodeStruct(layout, view, 8, values);
        expect(decodeStruct(layout, view, 8)).toEqual(values);
      }),
      { numRuns: 20 },
    );
  });

  it('refuse a declaration with a hole, a wrong size, or too many values', () => {
    expect(() =>
      defineStruct('hole', 16, '', [
        { name: 'a', type: 'u8', doc: '' },
        { name: 'b', type: 'u64', doc: '' },
      ]),
    ).toThrow(/aligned/);
    expect(() => defineStruct('short', 16, '', [{ name: 'a', type: 'u64', doc: '' }])).toThrow(/8/);
    const view = new DataView(new ArrayBuffer(COMPLETION.size));
    expect(() => encodeStruct(COMPLETION, view, 0, { cookie: [1n, 2n] })).toThrow(/holds 1/);
  });
});

describe('generated text', () => {
  it('is deterministic', () => {
    expect(renderCHeader()).toBe(renderCHeader());
    expect(renderDocumentation()).toContain('| 0x20 | BOOT_STATUS |');
  });
});
