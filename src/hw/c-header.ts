/** Renders the hardware description as the C header that native/ and firmware/ include. */
import * as command from './command-registers.js';
import { ERROR_CODES } from './error-codes.js';
import * as kernels from './kernels.js';
import type { StructLayout } from './layout.js';
import { placeFields } from './layout.js';
import { PROTECTION_OWNER, PROTECTION_PAGE_BYTES, REGIONS, RESERVED } from './memory-map.js';
import * as protocol from './protocol.js';
import * as values from './register-values.js';
import * as registers from './registers.js';
import { SPECIFICATION_FIGURES, SPECIFICATIONS } from './specification.js';
import * as unit from './unit-commands.js';
import * as operands from './unit-operands.js';
import {
  FIELD_OF_COMMAND,
  FIELD_OF_REGISTER,
  type Legal,
  placeOfOperand,
  type V1Limit,
  v1LimitsOf,
} from './v1-limits.js';

const macro = (name: string, value: string): string => `#define MTIA_${name} ${value}`;
const hex = (value: number | bigint): string => `0x${value.toString(16)}`;
const upper = (name: string): string => name.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase();

function constants(prefix: string, table: Readonly<Record<string, number>>): string[] {
  return Object.entries(table).map(([name, value]) => macro(`${prefix}_${name}`, String(value)));
}

function isStruct(value: unknown): value is StructLayout {
  return typeof value === 'object' && value !== null && 'fields' in value && 'size' in value;
}

/** Every structure layout of the description, in declaration order. */
export function allStructs(): readonly StructLayout[] {
  const declarations: readonly unknown[] = [...Object.values(protocol), ...Object.values(kernels)];
  return declarations.filter(isStruct);
}

function struct(layout: StructLayout): string[] {
  const fields = placeFields(layout).map((field) => {
    const type = field.type.replace('u', 'uint');
    return `  ${type}_t ${field.name}${field.count === undefined ? '' : `[${field.count}]`};`;
  });
  return [
    `struct ${layout.name} {`,
    ...fields,
    '};',
    `_Static_assert(sizeof(struct ${layout.name}) == ${layout.size}, "${layout.name}");`,
    '',
  ];
}

function registerMacros(): string[] {
  return registers.REGISTER_BLOCKS.flatMap((block) =>
    block.registers.map((r) => macro(`${block.name}_${r.name}`, hex(r.offset))).concat(''),
  );
}

function unitCommandMacros(): string[] {
  return [
    ...unit.UNIT_COMMANDS.map((c) => macro(`COMMAND_${c.name}`, hex(c.code))),
    '',
    ...constants('UNIT', operands.UNIT),
    macro('UNITS', String(Object.keys(operands.UNIT).length)),
    '/* Indexed by command: its unit. */',
    macro(
      'COMMAND_UNITS',
      `{${unit.UNIT_COMMANDS.map((c) => `[${hex(c.code)}] = ${operands.UNIT[c.unit]}`).join(', ')}}`,
    ),
    '',
    ...command.COMMAND_REGISTERS.map((r) => macro(`COMMAND_REGISTER_${r.name}`, String(r.index))),
    macro('MML_CONTEXTS', String(command.MML_CONTEXTS)),
    macro('MML_CONTEXT_REGISTERS', String(command.MML_CONTEXT_REGISTERS)),
    '',
    '/* Field positions: low bit and width. */',
    ...unit.UNIT_COMMANDS.flatMap((c) =>
      c.fields.flatMap((f, index) => [
        macro(`${c.name}_${upper(f.name)}_FIELD`, String(index)),
        macro(`${c.name}_${upper(f.name)}_LOW`, String(f.low)),
        macro(`${c.name}_${upper(f.name)}_BITS`, String(f.bits)),
      ]),
    ),
  ];
}

/** A value is legal where it is at most `most`, has no bit of `remainder`, and bit (value modulo 32) of `set` is one. */
function legalMembers(legal: Legal): string {
  if (legal === 'nothing') return '.set = 0';
  if ('only' in legal) return `.set = 1u << ${legal.only % 32}, .most = ${legal.only}`;
  if ('most' in legal) return `.set = UINT32_MAX, .most = ${legal.most}`;
  return `.set = UINT32_MAX, .remainder = ${legal.multipleOf - 1}, .most = UINT64_MAX`;
}

function v1Limit(command: unit.UnitCommand, { operand, legal, where }: V1Limit): string {
  const place = placeOfOperand(command, operand);
  const members = [
    `.number = ${place.number}`,
    `.at = {${place.source}, ${place.low}, ${place.bits}}`,
    legalMembers(legal),
  ];
  if (where !== undefined) {
    const { source, low, bits } = placeOfOperand(command, where.operand);
    members.push(`.where = {${source}, ${low}, ${bits}}`, `.at_least = ${where.atLeast}`);
  }
  return `{${members.join(', ')}}`;
}

function v1LimitTables(): string[] {
  const limited = unit.UNIT_COMMANDS.map((c) => ({ c, limits: v1LimitsOf(c) })).filter(
    ({ limits }) => limits.length > 0,
  );
  let first = 0;
  const places = limited.map(({ c, limits }) => {
    const place = `[${hex(c.code)}] = {${first}, ${limits.length}}`;
    first += limits.length;
    return place;
  });
  return [
    '/* Bits of rs1 (source 0), rs2 (1) or a command register (2 + its index). */',
    'struct mtia_operand_place { uint8_t source, low, bits; };',
    '/* What MTIA v1 allows of an operand, where another one is at least so much (0 bits: always); number: what mtval names. */',
    'struct mtia_v1_limit {',
    '  uint8_t number;',
    '  struct mtia_operand_place at, where;',
    '  uint32_t at_least, set, remainder;',
    '  uint64_t most;',
    '};',
    '#define MTIA_V1_LIMITS { \\',
    ...limited.flatMap(({ c, limits }) => limits.map((limit) => `  ${v1Limit(c, limit)}, \\`)),
    '}',
    '/* Indexed by command: its first limit, and how many it has. */',
    macro('V1_LIMITS_OF', `{${places.join(', ')}}`),
    '',
  ];
}

function specificationTable(): string[] {
  const names = SPECIFICATION_FIGURES.map((name) => upper(name).toLowerCase());
  const row = (generation: 'v1' | '2i'): string =>
    `  {${SPECIFICATION_FIGURES.map((name) => `.${upper(name).toLowerCase()} = ${SPECIFICATIONS[generation][name].value}`).join(', ')}}, /* ${generation} */`;
  return [
    '/* Indexed by generation number - 1. */',
    `struct mtia_specification {`,
    ...names.map((name) => `  double ${name};`),
    '};',
    '#define MTIA_SPECIFICATIONS { \\',
    `${row('v1').replace(' /* v1 */', '')} \\`,
    `${row('2i').replace(' /* 2i */', '')} \\`,
    '}',
  ];
}

/** The text of mtia_hw.h. */
export function renderCHeader(): string {
  return [
    '/* Generated from src/hw by `npm run hw`. Do not edit. */',
    '#ifndef MTIA_HW_H',
    '#define MTIA_HW_H',
    '#include <stdint.h>',
    '',
    ...REGIONS.flatMap((r) => [
      macro(`${r.name}_BASE`, `${hex(r.base)}ull`),
      macro(`${r.name}_SIZE`, `${hex(r.size)}ull`),
    ]),
    '',
    ...constants('RESERVED', RESERVED),
    macro('PROTECTION_PAGE_BYTES', String(PROTECTION_PAGE_BYTES)),
    ...constants('OWNER', PROTECTION_OWNER),
    '',
    ...constants('LIMIT', values.LIMITS),
    ...constants('PCI', values.PCI),
    ...constants('BOOT', values.BOOT_STATUS),
    ...constants('INTERRUPT', values.INTERRUPT_SOURCE),
    ...constants('DMA', values.DMA_KIND),
    ...constants('DMA_STATUS', values.DMA_STATUS),
    ...constants('HART_AT', values.HART_AT),
    ...constants('HOST_READ', values.HOST_READ_STATUS),
    macro('WATCHDOG_REPORT_BYTES', String(values.WATCHDOG_REPORT_BYTES)),
    ...constants('EXCEPTION', values.CUSTOM_EXCEPTION),
    macro('EXCEPTION_HARDWARE_ERROR', String(values.HARDWARE_ERROR)),
    ...constants('JOB_ARM', values.JOB_ARM),
    ...constants('MEMORY', values.MEMORY_SETUP),
    macro('FIELD_OF_REGISTERS', String(FIELD_OF_REGISTER)),
    macro('FIELD_OF_COMMAND', String(FIELD_OF_COMMAND)),
    macro('IDENTITY', hex(values.IDENTITY)),
    '',
    ...registerMacros(),
    ...Object.entries(ERROR_CODES).map(([name, e]) => macro(`ERROR_${name}`, String(e.code))),
    '',
    macro('OPCODE_LAUNCH', hex(operands.OPCODE_LAUNCH)),
    macro('OPCODE_COMMAND_REGISTER', hex(operands.OPCODE_COMMAND_REGISTER)),
    ...constants('TYPE', operands.DATA_TYPE),
    ...constants('SE', operands.SE_FUNCTION),
    ...constants('SE_OPERATION', operands.SE_OPERATION),
    ...constants('MULTICAST', operands.MULTICAST_AXIS),
    ...constants('SE_ROW_OPERATION', operands.SE_ROW_OPERATION),
    ...constants('BARRIER', operands.BARRIER_SCOPE),
    ...constants('REDUCTION_LINK', operands.REDUCTION_LINK),
    ...unitCommandMacros(),
    '',
    ...v1LimitTables(),
    macro('PROTOCOL_VERSION', String(protocol.PROTOCOL_VERSION)),
    ...constants('HOST', protocol.HOST_COMMAND),
    ...constants('WAIT', protocol.WAIT_MODE),
    macro('SIGNAL_FAILS_ALONE', `${hex(protocol.SIGNAL_FAILS_ALONE)}ull`),
    macro('NOT_IN_A_PE', `${hex(protocol.NOT_IN_A_PE)}u`),
    macro('TIMELINE_SEMAPHORES', String(protocol.TIMELINE_SEMAPHORES)),
    macro('JOB_ARGUMENT_WORDS', String(protocol.JOB_ARGUMENT_WORDS)),
    macro('GRAPH_MAGIC', hex(protocol.GRAPH_MAGIC)),
    macro('GRAPH_SEGMENTS', String(protocol.GRAPH_SEGMENTS)),
    macro('GRAPH_ARGUMENT_WORDS', String(protocol.GRAPH_ARGUMENT_WORDS)),
    ...constants('GRAPH_JOB', protocol.GRAPH_JOB_FLAG),
    macro('BUNDLE_MAGIC', hex(protocol.BUNDLE_MAGIC)),
    macro('BUNDLE_VERSION', String(protocol.BUNDLE_VERSION)),
    ...constants('BUNDLE', protocol.BUNDLE_SECTION),
    ...constants('KERNEL', kernels.KERNEL_ID),
    ...constants('ACTIVATION', kernels.ACTIVATION),
    ...constants('RESULT', kernels.KERNEL_RESULT),
    '',
    ...allStructs().flatMap(struct),
    ...specificationTable(),
    '',
    '#endif',
    '',
  ].join('\n');
}
