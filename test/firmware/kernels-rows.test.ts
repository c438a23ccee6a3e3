import { describe, test } from 'vitest';
import { ACTIVATION, type ActivationName, CONVERT_ARGUMENTS, COPY_ARGUMENTS, DATA_TYPE } from '../../src/hw/index.js';
import { benchesOfBothGenerations } from './kernel-bench.js';
import { Arena, type Expectation, expectFailure, expectJob, type Job } from './kernel-case.js';
import { load, type NumberType, randomNumbers, rounded, store } from './number-formats.js';

const BYTES = { INT8: 1, FP16: 2, BF16: 2, FP32: 4, INT32: 4 } as const;
const TABLE_ERROR = 1e-6;

const functions: Record<ActivationName, (x: number) => number> = {
  NONE: (x) => x,
  RELU: (x) => Math.max(0, x),
  SIGMOID: (x) => 1 / (1 + Math.exp(-x)),
  TANH: Math.tanh,
};

interface Conversion {
  rows: number;
  elements: number;
  from: NumberType;
  to: NumberType;
  inputStride?: number;
  outputStride?: number;
  pad?: boolean;
  function?: ActivationName;
  rectangle?: readonly [columns: number, rows: number];
  inputShift?: number;
  outputShift?: number;
  kernel?: 'CONVERT' | 'UNARY';
  values?: Partial<Record<string, number>>;
}

function makeConversion(shape: Conversion): { job: Job; expectations: Expectation[] } {
  const { rows, elements, from, to } = shape;
  const inputStride = shape.inputStride ?? elements * BYTES[from];
  const outputStride = shape.outputStride ?? elements * BYTES[to];
  const activation = shape.function ?? 'NONE';
  const arena = new Arena();
  const input = arena.allocate(rows * inputStride, 64, shape.inputShift ?? 0);
  const output = arena.allocate(rows * outputStride, 64, shape.outputShift ?? 0);
  const random = randomNumbers(rows * 1009 + elements);
  const isFloat = to !== 'INT8' && to !== 'INT32';
  const expectations: Expectation[] = [];
  for (let row = 0; row < rows; row++) {
    for (let element = 0; element < elements; element++) {
      const at = input + row * inputStride + element * BYTES[from];
      store(arena.view, at, from, Math.fround((random() * 2 - 1) * (from.startsWith('INT') ? 100 : 12)));
      const value = functions[activation](load(arena.view, at, from));
      const usesTable = activation === 'SIGMOID' || activation === 'TANH';
      expectations.push({
        at: output + row * outputStride + element * BYTES[to],
        type: to,
        value: usesTable && isFloat ? value : rounded(value, to),
        error: usesTable ? TABLE_ERROR + (isFloat ? 0 : 1) : 0,
      });
    }
    if (!shape.pad) continue;
    for (let at = elements * BYTES[to]; at < outputStride; at++) {
      expectations.push({ at: output + row * outputStride + at, type: 'INT8', value: 0 });
    }
  }
  const values = {
    input,
    output,
    rows,
    elements,
    input_stride: inputStride,
    output_stride: outputStride,
    input_type: DATA_TYPE[from],
    output_type: DATA_TYPE[to],
    function: ACTIVATION[activation],
    pad: shape.pad ? 1 : 0,
    ...shape.values,
  };
  const [columns, gridRows] = shape.rectangle ?? [1, 1];
  const kernel = shape.kernel ?? 'CONVERT';
  const rectangle = { columns, rows: gridRows };
  return {
    job: { kernel, layout: CONVERT_ARGUMENTS, values, addresses: ['input', 'output'], rectangle, arena },
    expectations,
  };
}

interface Copy {
  rows: number;
  bytes: number;
  inputStride?: number;
  outputStride?: number;
  inputShift?: number;
  outputShift?: number;
  rectangle?: readonly [columns: number, rows: number];
}

function makeCopy(shape: Copy): { job: Job; expectations: Expectation[] } {
  const inputStride = shape.inputStride ?? shape.bytes;
  const outputStride = shape.outputStride ?? shape.bytes;
  const arena = new Arena();
  const input = arena.allocate(shape.rows * Math.max(inputStride, shape.bytes), 64, shape.inputShift ?? 0);
  const output = arena.allocate(shape.rows * outputStride, 64, shape.outputShift ?? 0);
  const random = randomNumbers(shape.rows + shape.bytes * 3);
  const size = shape.rows * Math.max(inputStride, shape.bytes);
  for (let at = 0; at < size; at++) arena.bytes[input + at] = Math.floor(random() * 256);
  const expectations: Expectation[] = [];
  for (let row = 0; row < shape.rows; row++) {
    for (let at = 0; at < shape.bytes; at++) {
      const value = arena.view.getInt8(input + row * inputStride + at);
      expectations.push({ at: output + row * outputStride + at, type: 'INT8', value });
    }
  }
  const values = {
    input,
    output,
    rows: shape.rows,
    row_bytes: shape.bytes,
    input_stride: inputStride,
    output_stride: outputStride,
  };
  const [columns, gridRows] = shape.rectangle ?? [1, 1];
  const rectangle = { columns, rows: gridRows };
  return {
    job: { kernel: 'COPY', layout: COPY_ARGUMENTS, values, addresses: ['input', 'output'], rectangle, arena },
    expectations,
  };
}

describe('kernels that pass rows through', () => {
  const benches = benchesOfBothGenerations();

  const conversions: Record<string, Conversion> = {
    'dense features of a ranking model': {
      rows: 100,
      elements: 13,
      from: 'FP32',
      to: 'BF16',
      outputStride: 64,
      pad: true,
      rectangle: [3, 2],
    },
    'one row of them': { rows: 1, elements: 13, from: 'FP32', to: 'BF16', outputStride: 64, pad: true },
    'a column of scores': { rows: 77, elements: 1, from: 'BF16', to: 'FP32', inputStride: 64, rectangle: [2, 2] },
    'the same from 32 bytes on': { rows: 500, elements: 1, from: 'FP32', to: 'FP32', inputStride: 32 },
    'a line, cut among PEs': { rows: 30, elements: 1000, from: 'FP32', to: 'FP16', rectangle: [5, 3] },
    'a line with an odd end': { rows: 3, elements: 3001, from: 'BF16', to: 'FP32', rectangle: [2, 1] },
    'a line longer than a row may be': { rows: 9, elements: 8192, from: 'FP16', to: 'BF16' },
    'a short line': { rows: 1, elements: 5, from: 'FP32', to: 'BF16', rectangle: [8, 8] },
    'long rows, padded': { rows: 7, elements: 8191, from: 'FP32', to: 'FP32', outputStride: 32768, pad: true },
    'output rows with gaps': { rows: 40, elements: 20, from: 'FP32', to: 'FP16', outputStride: 96 },
    'rows far apart': { rows: 21, elements: 5, from: 'FP32', to: 'BF16', inputStride: 320 },
    'rows far apart, off alignment': {
      rows: 21,
      elements: 5,
      from: 'FP32',
      to: 'BF16',
      inputStride: 332,
      outputStride: 32,
      pad: true,
    },
    'rows without gaps from rows with': {
      rows: 75,
      elements: 7,
      from: 'FP16',
      to: 'FP32',
      inputStride: 18,
      rectangle: [2, 2],
    },
    'input off alignment': {
      rows: 50,
      elements: 13,
      from: 'FP32',
      to: 'BF16',
      inputShift: 12,
      outputStride: 32,
      pad: true,
    },
    'output off alignment': { rows: 6, elements: 13, from: 'FP32', to: 'FP32', outputShift: 4, inputStride: 64 },
    'long rows without gaps from rows with': { rows: 5, elements: 8187, from: 'BF16', to: 'BF16', inputStride: 16376 },
    'INT8 to FP32': { rows: 10, elements: 33, from: 'INT8', to: 'FP32', rectangle: [2, 1] },
    'FP32 to INT8': { rows: 10, elements: 33, from: 'FP32', to: 'INT8', outputStride: 64, pad: true },
    'INT32 to FP32': { rows: 4, elements: 100, from: 'INT32', to: 'FP32' },
    'FP32 to INT32': { rows: 4, elements: 100, from: 'FP32', to: 'INT32' },
    'with ReLU': { rows: 12, elements: 40, from: 'FP32', to: 'BF16', function: 'RELU' },
    'UNARY sigmoid': {
      rows: 12,
      elements: 100,
      from: 'FP32',
      to: 'FP32',
      function: 'SIGMOID',
      kernel: 'UNARY',
      rectangle: [2, 1],
    },
    'UNARY tanh, padded': {
      rows: 12,
      elements: 30,
      from: 'BF16',
      to: 'BF16',
      function: 'TANH',
      outputStride: 64,
      pad: true,
      kernel: 'UNARY',
    },
    'UNARY ReLU': {
      rows: 512,
      elements: 64,
      from: 'BF16',
      to: 'BF16',
      function: 'RELU',
      kernel: 'UNARY',
      rectangle: [8, 8],
    },
    'no rows': { rows: 0, elements: 4, from: 'FP32', to: 'FP32' },
  };
  for (const [name, shape] of Object.entries(conversions)) {
    test(`CONVERT: ${name}`, async () => {
      const { job, expectations } = makeConversion(shape);
      await expectJob(benches, job, expectations);
    });
  }

  test('CONVERT: matrices drawn at random', async () => {
    const random = randomNumbers(23);
    const upTo = (limit: number): number => 1 + Math.floor(random() * limit);
    const types = ['FP16', 'BF16', 'FP32', 'INT8', 'INT32'] as const;
    for (let turn = 0; turn < 60; turn++) {
      const from = types[upTo(5) - 1] ?? 'FP32';
      const to = types[upTo(5) - 1] ?? 'FP32';
      const elements = upTo(random() < 0.2 ? 8192 : 90);
      const pad = random() < 0.4;
      const padded = 32 * (Math.ceil((elements * BYTES[to]) / 32) + upTo(3) - 1);
      const { job, expectations } = makeConversion({
        rows: upTo(elements > 90 ? 6 : 150),
        elements,
        from,
        to,
        inputStride: BYTES[from] * (elements + (random() < 0.5 ? 0 : upTo(200) - 1)),
        pad,
        inputShift: BYTES[from] * (upTo(20) - 1),
        rectangle: [upTo(3), upTo(3)],
        ...(pad || random() < 0.3 ? { outputStride: padded } : {}),
      });
      await expectJob(benches, job, expectations);
    }
  });

  test('COPY: rows drawn at random', async () => {
    const random = randomNumbers(24);
    const upTo = (limit: number): number => 1 + Math.floor(random() * limit);
    for (let turn = 0; turn < 60; turn++) {
      const bytes = upTo(random() < 0.2 ? 32768 : 300);
      const unit = random() < 0.5 ? 1 : 32;
      const size = Math.ceil(bytes / unit) * unit;
      const { job, expectations } = makeCopy({
        rows: upTo(bytes > 300 ? 6 : 150),
        bytes: size > 32768 ? bytes : size,
        inputStride: size + unit * (upTo(30) - 1),
        outputStride: size + unit * (upTo(30) - 1),
        inputShift: random() < 0.5 ? 0 : upTo(40),
        outputShift: random() < 0.5 ? 0 : upTo(40),
        rectangle: [upTo(3), upTo(3)],
      });
      await expectJob(benches, job, expectations);
    }
  });

  const refused: Record<string, Record<string, number>> = {
    'an unknown type': { input_type: 7 },
    'an unknown function': { function: 4 },
    'rows beyond 8192 elements': { elements: 8193, output_stride: 32800 },
    'an output stride that is neither': { output_stride: 80 },
    'output rows that overlap': { output_stride: 32 },
    'padding to an odd stride': { pad: 1, output_stride: 72 },
    'elements off their own alignment': { input_stride: 66 },
  };
  for (const [name, values] of Object.entries(refused)) {
    test(`CONVERT refuses ${name}`, async () => {
      const { job } = makeConversion({ rows: 4, elements: 16, from: 'FP32', to: 'FP32', values });
      await expectFailure(benches, job, 'INVALID_COMMAND');
    });
  }

  const copies: Record<string, Copy> = {
    'a line': { rows: 10, bytes: 1000, rectangle: [2, 2] },
    'a long line': { rows: 10, bytes: 32768 },
    'rows into wider rows': { rows: 60, bytes: 64, outputStride: 256, rectangle: [2, 3] },
    'rows out of wider rows': { rows: 60, bytes: 64, inputStride: 256 },
    'long rows': { rows: 5, bytes: 32000, outputStride: 32768 },
    'one row many times': { rows: 40, bytes: 96, inputStride: 0 },
    'many short rows': { rows: 5000, bytes: 32, inputStride: 64 },
    'odd rows, input off alignment': { rows: 33, bytes: 52, inputStride: 100, outputStride: 64 },
    'odd rows to odd rows': { rows: 33, bytes: 13, inputStride: 30, outputStride: 29, rectangle: [2, 1] },
    'odd rows made dense': { rows: 70, bytes: 13, inputStride: 20, rectangle: [2, 1] },
    'far apart and off alignment': { rows: 9, bytes: 7, inputStride: 1001, outputStride: 32 },
    'everything off alignment': { rows: 9, bytes: 64, inputShift: 1, outputShift: 3 },
    'one odd row': { rows: 1, bytes: 77, inputShift: 5 },
  };
  for (const [name, shape] of Object.entries(copies)) {
    test(`COPY: ${name}`, async () => {
      const { job, expectations } = makeCopy(shape);
      await expectJob(benches, job, expectations);
    });
  }
});
