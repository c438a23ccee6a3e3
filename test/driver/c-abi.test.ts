/** The table from which bindings are made, held to the header that the library is compiled with. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  C_ABI_VERSION,
  C_FUNCTIONS,
  COUNTERS,
  type CType,
  MATMUL_PATH,
  MEMORY_COUNTERS,
  OPEN_PARAMETERS,
} from '../../src/driver/emulator/c-abi.js';
import { placeFields, type StructLayout } from '../../src/hw/index.js';

const HEADER = readFileSync(join(import.meta.dirname, '..', '..', 'native', 'include', 'mtia.h'), 'utf8');
const CODE = HEADER.replace(/\/\*[\s\S]*?\*\//g, '');

/** Table types that may stand for a C parameter. An address is a pointer that C keeps, a buffer one that it does not. */
function tableTypesOf(parameter: string): readonly CType[] {
  if (parameter.includes('*')) return ['address', 'buffer'];
  const scalar: Readonly<Record<string, CType>> = { uint32_t: 'u32', int32_t: 'i32', uint64_t: 'u64' };
  return [scalar[parameter.trim().split(/\s+/)[0] ?? ''] ?? 'u32'];
}

interface Declaration {
  readonly result: string;
  readonly parameters: readonly string[];
}

const DECLARED: ReadonlyMap<string, Declaration> = new Map(
  [...CODE.matchAll(/MTIA_API\s+(\w+)\s+(mtia_\w+)\(([^)]*)\);/g)].map(([, result = '', name = '', list = '']) => [
    name,
    { result, parameters: list.trim() === 'void' ? [] : list.split(',') },
  ]),
);

function fieldsInHeader(layout: StructLayout): readonly string[] {
  const body = new RegExp(`struct ${layout.name} \\{([^}]*)\\}`).exec(CODE)?.[1] ?? '';
  return [...body.matchAll(/uint(\d+)_t\s+(\w+);/g)].map(([, bits, name]) => `u${bits} ${name}`);
}

describe('the C ABI table', () => {
  it('declares every function of the header and no other', () => {
    expect(Object.keys(C_FUNCTIONS).sort()).toEqual([...DECLARED.keys()].sort());
  });

  it.each(Object.entries(C_FUNCTIONS))('has the signature of %s', (name, { result, parameters }) => {
    const declared = DECLARED.get(name);
    expect(declared?.result).toBe(result === 'u32' ? 'uint32_t' : 'int32_t');
    expect(declared?.parameters.length).toBe(parameters.length);
    for (const [index, type] of parameters.entries()) {
      expect(tableTypesOf(declared?.parameters[index] ?? '')).toContain(type);
    }
  });

  it.each([OPEN_PARAMETERS, COUNTERS, MEMORY_COUNTERS])('lays out $name alike', (layout) => {
    expect(placeFields(layout).map(({ type, name }) => `${type} ${name}`)).toEqual(fieldsInHeader(layout));
  });

  it('has its version and its matmul paths', () => {
    expect(CODE).toContain(`#define MTIA_C_ABI_VERSION ${C_ABI_VERSION}u`);
    for (const [name, value] of Object.entries(MATMUL_PATH)) {
      expect(CODE).toContain(`MTIA_MATMUL_${name.toUpperCase()} = ${value}`);
    }
  });
});
