/** Runs the C tests of the processing element (native/test/pe_test*.c, matmul_test.c); each prints a line per case. */
import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { UNIT_COMMANDS } from '../../src/hw/index.js';
import { compileNative, nativeSources, ROOT } from './compile.js';

/** The memory outside of the processing element is the fixture's. */
const SOURCES = [
  ...nativeSources('processing-element', 'hart', 'arithmetic'),
  ...readdirSync(join(ROOT, 'native', 'test'))
    .filter((file) => /^(pe|matmul)_test\w*\.c$/.test(file))
    .map((file) => `native/test/${file}`),
];

describe('processing element', () => {
  let program = '';
  beforeAll(() => {
    program = compileNative('pe_test', SOURCES);
  }, 300_000);

  it.each([
    { suite: 'commands', cases: 5, what: 'refuses every illegal field before anything moves' },
    { suite: 'cache', cases: 8, what: 'hits and misses the SRAM cache, reports lost words, counts per memory' },
    { suite: 'order', cases: 19, what: 'checks elements and space, keeps order, reports faults, tells the time' },
    { suite: 'memory', cases: 9, what: 'reads by group, by index and ahead, and tells what the memories spared' },
    { suite: 'units', cases: 8, what: 'computes in every unit what the scalar definition says' },
    { suite: 'quantize', cases: 7, what: 'scales to INT8 and back, and finds the range of rows, bit by bit' },
    {
      suite: 'legality',
      cases: 9,
      what: 'refuses the smallest illegal value of every field of every command, and nothing moves',
    },
    { suite: 'operands', cases: 4, what: 'computes alike on elements apart, one a row, four bits each' },
    { suite: 'multiply', cases: 6, what: 'keeps contexts apart, advances offsets, takes operands through the MLU' },
    { suite: 'sparse', cases: 4, what: 'multiplies 2:4 sparse blocks as the dense ones, in half the time' },
    { suite: 'counters', cases: 4, what: 'counts commands and busy cycles of units, and stalls of harts' },
    { suite: 'links', cases: 10, what: 'passes blocks between PEs in order, each to the job that it is for' },
    { suite: 'programs', cases: 8, what: 'runs jobs on both harts, in the same device time on every run' },
    { suite: 'matmul', cases: 6, what: 'computes bit by bit alike on every path' },
  ])('$suite: $what', ({ suite, cases }) => {
    const result = spawnSync(program, [suite], { encoding: 'utf8' });
    const lines = result.stdout.split('\n').filter((line) => line !== '');
    expect(lines.filter((line) => !line.startsWith('ok '))).toEqual([]);
    expect(lines).toHaveLength(cases);
    expect(result.status).toBe(0);
  });

  it('computes alike on every path with other numbers in every run', () => {
    const seed = String(randomInt(2 ** 32));
    const { stdout } = spawnSync(program, ['matmul', seed], { encoding: 'utf8' });
    expect(
      stdout.split('\n').filter((line) => line !== '' && !line.startsWith('ok ')),
      `seed ${seed}`,
    ).toEqual([]);
  });
});

/** Checks of the chip, each taken out of a copy of its source; the field of the command that is then taken for legal. */
const TABLE = 'command_processor_table.c';
const CHECKS = [
  {
    command: 'CB_INIT',
    field: 'base',
    source: TABLE,
    from: 'RANGE(RS1, MTIA_CB_INIT_BASE, 0, UINT32_MAX, 32)',
    to: 'ANY(RS1, MTIA_CB_INIT_BASE)',
  },
  {
    command: 'BARRIER',
    field: 'scope',
    source: TABLE,
    from: 'RANGE(RS1, MTIA_BARRIER_SCOPE, 0, MTIA_BARRIER_COLUMN, 1)',
    to: 'ANY(RS1, MTIA_BARRIER_SCOPE)',
  },
  {
    command: 'DMA_IN',
    field: 'cb',
    source: TABLE,
    from: 'BUFFER(RS2, MTIA_DMA_IN_CB)',
    to: 'ANY(RS2, MTIA_DMA_IN_CB)',
  },
  {
    command: 'MML',
    field: 'kBytes',
    source: TABLE,
    from: 'MTIA_MML_K_BYTES, 32, 64, 32)',
    to: 'MTIA_MML_K_BYTES, 32, 64, 1)',
  },
  {
    command: 'REDUCE',
    field: 'function',
    source: TABLE,
    from: 'ONE_OF(RS1, MTIA_REDUCE_FUNCTION, FUNCTIONS)',
    to: 'ANY(RS1, MTIA_REDUCE_FUNCTION)',
  },
  {
    command: 'SE_LOAD_TABLE',
    field: 'bytes',
    source: TABLE,
    from: 'MTIA_LIMIT_SE_TABLE_BYTES, 1)',
    to: 'UINT32_MAX, 1)',
  },
  {
    command: 'SE_QUANTIZE',
    field: 'cbScale',
    source: TABLE,
    from: 'BUFFER(RS2, MTIA_SE_QUANTIZE_CB_SCALE)',
    to: 'ANY(RS2, MTIA_SE_QUANTIZE_CB_SCALE)',
  },
  {
    command: 'SE_BINARY',
    field: 'secondOffset',
    source: 'command_processor.c',
    from: 'if (extent > pe->cp.buffers[cb].bytes) return',
    to: 'if (extent > pe->cp.buffers[cb].bytes + 1) return',
  },
  {
    command: 'DMA_OUT',
    field: 'address',
    source: 'command_processor.c',
    from: '(value & limit->remainder) != 0 ||',
    to: '',
  },
] as const;
const FOLDER = 'native/src/processing-element';

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
}

/** What a suite says of a chip in whose source `from`, which occurs once, has become `to`. */
function suiteOf(suite: string, name: string, source: string, from: string, to: string): Outcome {
  const parts = readFileSync(join(ROOT, FOLDER, source), 'utf8').split(from);
  expect(parts, `"${from}" in ${source}`).toHaveLength(2);
  const changed = `build/test/mutants/${name}.c`;
  mkdirSync(join(ROOT, dirname(changed)), { recursive: true });
  writeFileSync(join(ROOT, changed), parts.join(to));
  const others = SOURCES.filter((path) => path !== `${FOLDER}/${source}`);
  const program = compileNative(`mutants/${name}`, [...others, changed]);
  return spawnSync(program, [suite], { encoding: 'utf8' });
}

describe('the legality suite fails', () => {
  it.each(CHECKS)('where $command takes any $field', ({ command, field, source, from, to }) => {
    const description = UNIT_COMMANDS.find(({ name }) => name === command);
    const number = description?.fields.findIndex(({ name }) => name === field);
    const { status, stdout } = suiteOf('legality', `${command}-${field}`, source, from, to);
    expect(stdout).toMatch(new RegExp(`command 0x${description?.code.toString(16)}, field ${number}[, ]`));
    expect(stdout).toContain('not refused');
    expect(status).toBe(1);
  });

  it('where something moves before the exception', () => {
    const decoding = 'if (!decode(pe, &command, rs1, rs2)) return';
    const moving = 'if (!decode(pe, &command, rs1, rs2) && ++pe->cp.semaphores[0] != 0) return';
    const { status, stdout } = suiteOf('legality', 'moves-first', 'command_processor.c', decoding, moving);
    expect(stdout).toContain('something moved');
    expect(status).toBe(1);
  });
});

/** Checks that are made when a command runs, not when it is decoded, and the suite that fails without each. */
const LINKS = 'reduction_engine_links.c';
const LATE_CHECKS = [
  {
    check: 'type-sent',
    suite: 'links',
    source: LINKS,
    from: 'if (!content_fits(pe, command)) return',
    to: 'if (0) return',
  },
  { check: 'type-received', suite: 'links', source: LINKS, from: '!content_fits(pe, command) || ', to: '' },
  {
    check: 'type-of-block',
    suite: 'links',
    source: LINKS,
    from: 'block->type != command->field[FIELD_OF(TYPE)]',
    to: '0',
  },
  { check: 'rows', suite: 'links', source: LINKS, from: 'block->rows != command->field[FIELD_OF(ROWS)]', to: '0' },
  {
    check: 'columns',
    suite: 'links',
    source: LINKS,
    from: 'block->columns != command->field[FIELD_OF(COLUMNS)]',
    to: '0',
  },
  {
    check: 'ended-pe',
    suite: 'links',
    source: 'pe_atomics.c',
    from: 'if (failed) return',
    to: 'if (failed && 0) return',
  },
  {
    check: 'owner-of-prefetched',
    suite: 'cache',
    source: 'fabric_interface.c',
    from: 'whole_range(pe, &dma) == NULL && !every_row_is_allowed(pe, &dma, command)',
    to: '0',
  },
  {
    check: 'rows-before-the-first',
    suite: 'memory',
    source: 'fabric_interface.c',
    from: 'if (__builtin_add_overflow(bytes, dma->row_bytes, &bytes)) return NULL;',
    to: 'bytes += dma->row_bytes;',
  },
  {
    check: 'end-of-memory',
    suite: 'legality',
    source: 'simd_engine.c',
    from: 'address + command->field[MTIA_SE_LOAD_TABLE_BYTES_FIELD] > pe->local_bytes',
    to: '0',
  },
] as const;

describe('the suites of the PE fail', () => {
  it.each(LATE_CHECKS)('in $suite, where nothing checks $check', ({ check, suite, source, from, to }) => {
    const { status, stdout } = suiteOf(suite, `late-${check}`, source, from, to);
    expect(stdout).toContain('FAIL');
    expect(status).toBe(1);
  });
});
