/** Renders the hardware description as docs/hardware.md. */
import { allStructs } from './c-header.js';
import { COMMAND_REGISTERS, MML_CONTEXT_REGISTERS } from './command-registers.js';
import { ERROR_CODES } from './error-codes.js';
import { placeFields } from './layout.js';
import { REGIONS } from './memory-map.js';
import { NOT_MODELLED } from './not-modelled.js';
import { PUBLISHED_FIGURES } from './published-figures.js';
import { REGISTER_BLOCKS } from './registers.js';
import { SPECIFICATION_FIGURES, SPECIFICATIONS } from './specification.js';
import { type CommandField, UNIT_COMMANDS, type UnitCommand } from './unit-commands.js';
import { LEGAL_ON_BOTH, legalText, type Operand, V1_LIMITS, v1LimitsOf } from './v1-limits.js';

const hex = (value: number | bigint): string => `0x${value.toString(16)}`;

function table(header: readonly string[], rows: readonly (readonly (string | number)[])[]): string[] {
  const line = (cells: readonly (string | number)[]): string =>
    `| ${cells.map((c) => String(c).replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(header), line(header.map(() => '---')), ...rows.map(line), ''];
}

function specifications(): string[] {
  return table(
    ['figure', 'v1', '2i', 'unit', 'source v1', 'source 2i'],
    SPECIFICATION_FIGURES.map((name) => {
      const [v1, v2] = [SPECIFICATIONS.v1[name], SPECIFICATIONS['2i'][name]];
      return [name, v1.value, v2.value, v2.unit, v1.source, v2.source];
    }),
  );
}

function dataSheet(): string[] {
  return [
    '## Data sheet',
    '',
    'What is published beside the figures above; the emulator computes with none of it.',
    '',
    ...table(
      ['what', 'v1', '2i', 'source v1', 'source 2i'],
      PUBLISHED_FIGURES.map(({ name, of }) => [name, of.v1.value, of['2i'].value, of.v1.source, of['2i'].source]),
    ),
    '## Published, not emulated',
    '',
    ...table(
      ['feature', 'source', 'why'],
      NOT_MODELLED.map(({ feature, source, why }) => [feature, source, why]),
    ),
  ];
}

function registerTables(): string[] {
  return REGISTER_BLOCKS.flatMap((block) => [
    `### ${block.name}`,
    '',
    `At ${block.at}. ${block.doc}`,
    '',
    ...table(
      ['offset', 'register', 'bits', 'access', 'reset', 'meaning'],
      block.registers.map((r) => [
        hex(r.offset) + (r.count === undefined ? '' : ` + n * ${hex(r.stride ?? 0)}, n < ${r.count}`),
        r.name,
        r.bits,
        r.access,
        typeof r.reset === 'bigint' ? hex(r.reset) : r.reset,
        r.doc,
      ]),
    ),
  ]);
}

function structTables(): string[] {
  return allStructs().flatMap((layout) => [
    `### ${layout.name} (${layout.size} bytes)`,
    '',
    layout.doc,
    '',
    ...table(
      ['offset', 'field', 'type', 'meaning'],
      placeFields(layout).map((f) => [f.offset, f.name, f.type + (f.count === undefined ? '' : `[${f.count}]`), f.doc]),
    ),
  ]);
}

function operandText(operand: Operand | undefined): string {
  if (operand === undefined || typeof operand === 'string') return operand ?? 'the command';
  const { register, low, bits } = operand;
  return bits === 64 ? register : `${register} (${low + bits - 1}:${low})`;
}

function generations(): string[] {
  return [
    '### What MTIA v1 does not allow',
    '',
    'An operand that is illegal on v1 raises ILLEGAL_COMMAND with its field, as on any chip. Nothing is legal on v1 and not on 2i, so',
    'kernels of v1 run there unchanged.',
    '',
    ...table(
      ['command', 'operand', 'legal on v1', 'source'],
      V1_LIMITS.map(({ commands, operand, legal, where, source }) => [
        commands.join(', '),
        operandText(operand),
        legalText(legal) +
          (where === undefined ? '' : `, where ${operandText(where.operand)} is at least ${where.atLeast}`),
        source,
      ]),
    ),
    'Legal on both, because nobody has published that v1 lacks it:',
    '',
    ...LEGAL_ON_BOTH.map(({ what, why }) => `- ${what}. ${why}`),
    '',
  ];
}

function fieldText(command: UnitCommand, { name, legal }: CommandField): string {
  const limit = v1LimitsOf(command).find(({ operand }) => operand === name);
  return limit === undefined ? legal : `${legal}; v1: ${legalText(limit.legal)}`;
}

function unitCommandTables(): string[] {
  return UNIT_COMMANDS.flatMap((c) => [
    `### ${c.name} (${hex(c.code)}, ${c.unit})`,
    '',
    v1LimitsOf(c).some(({ legal }) => legal === 'nothing') ? `Not on v1. ${c.doc}` : c.doc,
    '',
    ...(c.fields.length === 0
      ? []
      : table(
          ['number', 'field', 'from', 'bits', 'legal'],
          c.fields.map((f, i) => [i, f.name, f.from, `${f.low + f.bits - 1}:${f.low}`, fieldText(c, f)]),
        )),
  ]);
}

/** The text of docs/hardware.md. */
export function renderDocumentation(): string {
  return [
    '<!-- Generated from src/hw by `npm run hw`. Do not edit. -->',
    '# Hardware description',
    '',
    '## Specifications',
    '',
    ...specifications(),
    ...dataSheet(),
    '## Memory map',
    '',
    ...table(
      ['base', 'bytes', 'region', 'seen by', 'what'],
      REGIONS.map((r) => [hex(r.base), hex(r.size), r.name, r.seenBy, r.doc]),
    ),
    '## Registers',
    '',
    ...registerTables(),
    '## Unit commands',
    '',
    'Encodings: custom-0 (R-type, funct7 = command) launches, custom-1 writes (funct3 = 0) and reads (funct3 = 1) a command register.',
    '',
    ...table(
      ['index', 'command register', 'contents'],
      COMMAND_REGISTERS.map((r) => [
        r.index + (r.count === undefined ? '' : ` + n * ${MML_CONTEXT_REGISTERS}, n < ${r.count}`),
        r.name,
        r.doc,
      ]),
    ),
    ...generations(),
    ...unitCommandTables(),
    '## Structures',
    '',
    ...structTables(),
    '## Error codes',
    '',
    ...table(
      ['code', 'name', 'at fault', 'meaning'],
      Object.entries(ERROR_CODES).map(([name, e]) => [e.code, name, e.fault, e.doc]),
    ),
  ].join('\n');
}
