/**
 * Runs a compiled graph the slow way, from nothing but its image and segments: what the kernels' arguments promise, in
 * TypeScript. It also holds the compiler to what firmware relies on: jobs between two barriers touch different PEs and do
 * not depend on each other, nothing leaves its segment, and no job computes with memory that nobody wrote.
 */

import { type CompiledGraph, SEGMENT_KINDS, type SegmentKind } from '../../src/compiler/index.js';
import { bf16Bits, fp16Bits } from '../../src/compiler/packing/half-types.js';
import {
  CONVERT_ARGUMENTS,
  COPY_ARGUMENTS,
  DATA_TYPE,
  decodeStruct,
  EMBEDDING_BAG_ARGUMENTS,
  EMBEDDING_TABLE,
  FULLY_CONNECTED_ARGUMENTS,
  GRAPH_HEADER,
  GRAPH_JOB,
  GRAPH_JOB_FLAG,
  INTERACTION_ARGUMENTS,
  KERNEL_ID,
  placeFields,
  QUANTIZE_ARGUMENTS,
  type StructLayout,
} from '../../src/hw/index.js';

const GAP = 4096;
const GRID = 8;
/** NaN in every floating type: what a job reads here and uses, shows. */
const UNWRITTEN = 0xff;

const FLOAT = new Float32Array(1);
const BITS = new Uint32Array(FLOAT.buffer);

function floatBits(value: number): number {
  FLOAT[0] = value;
  return BITS[0] ?? 0;
}

function bitsToFloat(bits: number): number {
  BITS[0] = bits;
  return FLOAT[0] ?? 0;
}

function fp16ToFloat(bits: number): number {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const sign = bits & 0x8000 ? -1 : 1;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
}

const WIDTH: Readonly<Record<number, number>> = {
  [DATA_TYPE.INT8]: 1,
  [DATA_TYPE.FP16]: 2,
  [DATA_TYPE.BF16]: 2,
  [DATA_TYPE.FP32]: 4,
  [DATA_TYPE.INT32]: 4,
};

const ACTIVATIONS = [
  (x: number) => x,
  (x: number) => Math.max(x, 0),
  (x: number) => 1 / (1 + Math.exp(-x)),
  (x: number) => Math.tanh(x),
];

type FieldsOf<Layout> = Layout extends StructLayout<infer Name> ? Readonly<Record<Name, number>> : never;

class Machine {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly bases = new Map<SegmentKind, number>();
  /** Last job that wrote, and last job that read, every byte. */
  readonly #writer: Int32Array;
  readonly #reader: Int32Array;
  readonly #ends: readonly { readonly start: number; readonly end: number }[];
  job = 0;
  /** First job of the level at hand. */
  levelStart = 0;

  constructor(graph: CompiledGraph, inputs: readonly Uint8Array[]) {
    let end = GAP;
    const ends: { start: number; end: number }[] = [];
    for (const kind of SEGMENT_KINDS) {
      this.bases.set(kind, end);
      ends.push({ start: end, end: end + graph.segments[kind].bytes });
      end += Math.ceil(graph.segments[kind].bytes / 64) * 64 + GAP;
    }
    this.#ends = ends;
    this.bytes = new Uint8Array(end).fill(UNWRITTEN);
    this.view = new DataView(this.bytes.buffer);
    this.#writer = new Int32Array(end).fill(-1);
    this.#reader = new Int32Array(end).fill(-1);
    this.bytes.set(graph.weights, this.bases.get('weights'));
    for (const [index, tensor] of graph.inputs.entries()) {
      const data = inputs[index];
      if (data?.byteLength !== tensor.bytes) throw new Error(`input ${tensor.name} has another size`);
      this.bytes.set(data, (this.bases.get('inputs') ?? 0) + tensor.offset);
    }
  }

  base(kind: SegmentKind): number {
    return this.bases.get(kind) ?? 0;
  }

  #inside(address: number, length: number): void {
    if (this.#ends.some(({ start, end }) => address >= start && address + length <= end)) return;
    throw new Error(`job ${this.job} reaches ${length} bytes at ${address}, outside of every segment`);
  }

  read(address: number, length: number): void {
    this.#inside(address, length);
    for (let at = address; at < address + length; at++) {
      const writer = this.#writer[at] ?? -1;
      if (writer >= this.levelStart && writer !== this.job) {
        throw new Error(`job ${this.job} reads what job ${writer} of the same level writes`);
      }
      this.#reader[at] = this.job;
    }
  }

  write(address: number, length: number): void {
    this.#inside(address, length);
    if (address < this.base('workspace') || (address >= this.base('inputs') && address < this.base('outputs'))) {
      throw new Error(`job ${this.job} writes into a segment that is only read`);
    }
    for (let at = address; at < address + length; at++) {
      for (const other of [this.#writer[at] ?? -1, this.#reader[at] ?? -1]) {
        if (other >= this.levelStart && other !== this.job) {
          throw new Error(`job ${this.job} writes what job ${other} of the same level uses`);
        }
      }
      this.#writer[at] = this.job;
    }
  }

  get(address: number, type: number): number {
    if (type === DATA_TYPE.FP32) return this.view.getFloat32(address, true);
    if (type === DATA_TYPE.BF16) return bitsToFloat(this.view.getUint16(address, true) << 16);
    if (type === DATA_TYPE.FP16) return fp16ToFloat(this.view.getUint16(address, true));
    if (type === DATA_TYPE.INT32) return this.view.getInt32(address, true);
    return this.view.getInt8(address);
  }

  set(address: number, type: number, value: number): void {
    if (type === DATA_TYPE.FP32) this.view.setFloat32(address, value, true);
    else if (type === DATA_TYPE.BF16) this.view.setUint16(address, bf16Bits(floatBits(value)), true);
    else if (type === DATA_TYPE.FP16) this.view.setUint16(address, fp16Bits(floatBits(value)), true);
    else throw new Error(`type ${type} is not written`);
  }
}

function must(condition: boolean, machine: Machine, what: string): void {
  if (!condition) throw new Error(`job ${machine.job}: ${what}`);
}

function fullyConnected(machine: Machine, a: FieldsOf<typeof FULLY_CONNECTED_ARGUMENTS>): void {
  const { input, weight, bias, output, m, n, k_bytes, input_stride, output_stride, output_columns } = a;
  must(n % 32 === 0 && k_bytes % 64 === 0 && input_stride % 64 === 0 && output_stride % 32 === 0, machine, 'alignment');
  must(output_columns <= n && output_columns > n - 32, machine, 'output_columns');
  must(
    [input, weight, bias, output].every((address) => address % 32 === 0),
    machine,
    'v1 needs aligned addresses',
  );
  must([32, 64].includes(a.row_tile) && [32, 64].includes(a.column_tile), machine, 'tiles');
  const size = WIDTH[a.type] ?? 2;
  const k = k_bytes / size;
  const isInt8 = a.type === DATA_TYPE.INT8;
  must(isInt8 === (a.row_scale !== 0) && isInt8 === (a.column_scale !== 0), machine, 'scales belong to INT8');
  if (isInt8) machine.read(a.row_scale, m * 4);
  if (isInt8) machine.read(a.column_scale, n * 4);
  machine.read(weight, n * k_bytes);
  machine.read(bias, n * 4);
  const weights = new Float64Array(n * k);
  for (let column = 0; column < n; column++) {
    for (let at = 0; at < k; at++) {
      const block = Math.floor(column / 32) * (k_bytes / 64) + Math.floor((at * size) / 64);
      const byte = (at * size) % 64;
      const inside = Math.floor(byte / 4) * 128 + (column % 32) * 4 + (byte % 4);
      weights[column * k + at] = machine.get(weight + block * 2048 + inside, a.type);
    }
  }
  const width = WIDTH[a.output_type] ?? 4;
  const activate = ACTIVATIONS[a.activation] as (x: number) => number;
  const row = new Float64Array(k);
  for (let r = 0; r < m; r++) {
    machine.read(input + r * input_stride, k_bytes);
    for (let at = 0; at < k; at++) row[at] = machine.get(input + r * input_stride + at * size, a.type);
    const rowScale = isInt8 ? machine.view.getFloat32(a.row_scale + r * 4, true) : 1;
    machine.write(output + r * output_stride, output_columns * width);
    for (let column = 0; column < output_columns; column++) {
      const columnScale = isInt8 ? machine.view.getFloat32(a.column_scale + column * 4, true) : 1;
      let sum = 0;
      for (let at = 0; at < k; at++) sum += (row[at] as number) * (weights[column * k + at] as number);
      sum = sum * rowScale * columnScale + machine.view.getFloat32(bias + column * 4, true);
      machine.set(output + r * output_stride + column * width, a.output_type, activate(sum));
    }
  }
}

function quantize(machine: Machine, a: FieldsOf<typeof QUANTIZE_ARGUMENTS>): void {
  must(a.input_stride % 32 === 0 && a.output_stride % 64 === 0, machine, 'alignment');
  must(a.output_stride >= a.elements && a.output_stride < a.elements + 64, machine, 'output_stride');
  const width = WIDTH[a.input_type] ?? 2;
  for (let r = 0; r < a.rows; r++) {
    machine.read(a.input + r * a.input_stride, a.elements * width);
    const x = Array.from({ length: a.elements }, (_, e) =>
      machine.get(a.input + r * a.input_stride + e * width, a.input_type),
    );
    const scale = Math.max(...x.map(Math.abs)) / 127;
    must(!Number.isNaN(scale), machine, 'quantises what nobody wrote');
    machine.write(a.scales + r * 4, 4);
    machine.view.setFloat32(a.scales + r * 4, scale, true);
    machine.write(a.output + r * a.output_stride, a.output_stride);
    machine.bytes.fill(0, a.output + r * a.output_stride, a.output + (r + 1) * a.output_stride);
    for (const [e, value] of x.entries()) {
      machine.view.setInt8(a.output + r * a.output_stride + e, scale === 0 ? 0 : Math.round(value / scale));
    }
  }
}

function embeddingBag(machine: Machine, a: FieldsOf<typeof EMBEDDING_BAG_ARGUMENTS>): void {
  const width = WIDTH[a.type] ?? 2;
  const bytes = a.elements * width;
  must(a.output_stride % 32 === 0 && bytes % 32 === 0 && a.sample_block > 0, machine, 'alignment');
  machine.read(a.descriptors, a.table_count * EMBEDDING_TABLE.size);
  for (let index = 0; index < a.table_count; index++) {
    const table = decodeStruct(EMBEDDING_TABLE, machine.view, a.descriptors + index * EMBEDDING_TABLE.size);
    must(Number(table.row_bytes) >= bytes && Number(table.row_bytes) % 32 === 0, machine, 'row_bytes');
    const length = Number(table.bag_length);
    for (let sample = 0; sample < a.batch; sample++) {
      const sums = new Float64Array(a.elements);
      for (let entry = 0; entry < length; entry++) {
        const at = a.inputs + Number(table.indices_offset) + (sample * length + entry) * 8;
        machine.read(at, 8);
        const row = machine.view.getBigInt64(at, true);
        if (row < 0n || row >= table.rows) throw new Error('index out of range');
        const start = a.tables + Number(table.table_offset) + Number(row * table.row_bytes);
        machine.read(start, bytes);
        for (let e = 0; e < a.elements; e++) sums[e] = (sums[e] ?? 0) + machine.get(start + e * width, a.type);
      }
      const to = a.output + Number(table.output_offset) + sample * a.output_stride;
      machine.write(to, bytes);
      for (let e = 0; e < a.elements; e++) machine.set(to + e * width, a.type, sums[e] ?? 0);
    }
  }
}

function interaction(machine: Machine, a: FieldsOf<typeof INTERACTION_ARGUMENTS>): void {
  must(a.feature_stride % 64 === 0 && a.output_stride % 32 === 0 && a.features <= 64, machine, 'alignment');
  must(a.input % 32 === 0 && a.input_stride % 32 === 0 && a.output % 32 === 0, machine, 'v1 needs aligned addresses');
  machine.read(a.selection, Math.ceil((a.selected_count * 4) / 32) * 32);
  const k = a.feature_stride / 2;
  for (let sample = 0; sample < a.batch; sample++) {
    const from = a.input + sample * a.input_stride;
    machine.read(from, a.features * a.feature_stride);
    const x = Array.from({ length: a.features * k }, (_, at) => machine.get(from + at * 2, a.type));
    const to = a.output + sample * a.output_stride;
    machine.write(to, a.output_stride);
    machine.bytes.fill(0, to, to + a.output_stride);
    for (let e = 0; e < a.prefix_elements; e++) machine.set(to + e * 2, a.type, x[a.prefix_feature * k + e] ?? 0);
    for (let entry = 0; entry < a.selected_count; entry++) {
      const place = machine.view.getUint32(a.selection + entry * 4, true);
      const [first, second] = [Math.floor(place / a.features), place % a.features];
      let sum = 0;
      for (let at = 0; at < k; at++) sum += (x[first * k + at] ?? 0) * (x[second * k + at] ?? 0);
      machine.set(to + (a.prefix_elements + entry) * 2, a.type, sum);
    }
  }
}

function convert(machine: Machine, a: FieldsOf<typeof CONVERT_ARGUMENTS>): void {
  const [from, to] = [WIDTH[a.input_type] ?? 4, WIDTH[a.output_type] ?? 4];
  const dense = a.output_stride === a.elements * to;
  must(a.elements <= 8192 && (a.output_stride % 32 === 0 || (dense && a.pad === 0)), machine, 'stride');
  for (let r = 0; r < a.rows; r++) {
    const source = a.input + r * a.input_stride;
    const target = a.output + r * a.output_stride;
    machine.read(source, a.elements * from);
    machine.write(target, a.pad === 1 ? a.output_stride : a.elements * to);
    if (a.pad === 1) machine.bytes.fill(0, target + a.elements * to, target + a.output_stride);
    for (let e = 0; e < a.elements; e++) {
      const value = machine.get(source + e * from, a.input_type);
      machine.set(target + e * to, a.output_type, (ACTIVATIONS[a.function] as (x: number) => number)(value));
    }
  }
}

function copy(machine: Machine, a: FieldsOf<typeof COPY_ARGUMENTS>): void {
  must(a.row_bytes <= 32768, machine, 'row_bytes');
  for (let r = 0; r < a.rows; r++) {
    const source = a.input + r * a.input_stride;
    machine.read(source, a.row_bytes);
    machine.write(a.output + r * a.output_stride, a.row_bytes);
    machine.bytes.copyWithin(a.output + r * a.output_stride, source, source + a.row_bytes);
  }
}

interface Kernel {
  readonly layout: StructLayout;
  readonly run: (machine: Machine, values: (name: string) => number) => void;
}

function kernel<Name extends string>(
  layout: StructLayout<Name>,
  run: (machine: Machine, fields: Readonly<Record<Name, number>>) => void,
): Kernel {
  return {
    layout,
    run: (machine, values) => {
      const fields = Object.fromEntries(layout.fields.map(({ name }) => [name, values(name)]));
      run(machine, fields as Record<Name, number>);
    },
  };
}

const KERNELS: Readonly<Record<number, Kernel>> = {
  [KERNEL_ID.FULLY_CONNECTED]: kernel(FULLY_CONNECTED_ARGUMENTS, fullyConnected),
  [KERNEL_ID.EMBEDDING_BAG]: kernel(EMBEDDING_BAG_ARGUMENTS, embeddingBag),
  [KERNEL_ID.INTERACTION]: kernel(INTERACTION_ARGUMENTS, interaction),
  [KERNEL_ID.CONVERT]: kernel(CONVERT_ARGUMENTS, convert),
  [KERNEL_ID.UNARY]: kernel(CONVERT_ARGUMENTS, convert),
  [KERNEL_ID.COPY]: kernel(COPY_ARGUMENTS, copy),
  [KERNEL_ID.QUANTIZE]: kernel(QUANTIZE_ARGUMENTS, quantize),
};

const OFFSETS = new Map(placeFields(GRAPH_JOB).map((field) => [field.name, field.offset]));
const offsetOf = (name: string): number => OFFSETS.get(name) ?? 0;

/** Bytes of every output. */
export function runGraph(graph: CompiledGraph, inputs: readonly Uint8Array[]): readonly Uint8Array[] {
  const machine = new Machine(graph, inputs);
  const image = new DataView(graph.image.buffer, graph.image.byteOffset, graph.image.byteLength);
  const jobs = image.getUint32(8, true);
  let busy = new Set<number>();
  for (let index = 0; index < jobs; index++) {
    const start = GRAPH_HEADER.size + index * GRAPH_JOB.size;
    machine.job = index;
    if ((image.getUint32(start + offsetOf('flags'), true) & GRAPH_JOB_FLAG.BARRIER) !== 0) {
      machine.levelStart = index;
      busy = new Set();
    }
    const [column, row, columns, rows] = ['column', 'row', 'columns', 'rows'].map((name) =>
      image.getUint8(start + offsetOf(name)),
    ) as [number, number, number, number];
    must(column + columns <= GRID && row + rows <= GRID && columns * rows > 0, machine, 'leaves the grid');
    for (let y = row; y < row + rows; y++) {
      for (let x = column; x < column + columns; x++) {
        must(!busy.has(y * GRID + x), machine, `shares PE ${x},${y} with a job of its level`);
        busy.add(y * GRID + x);
      }
    }
    const found = KERNELS[image.getUint32(start + offsetOf('kernel'), true)];
    if (found === undefined) throw new Error(`job ${index} has an unknown kernel`);
    found.run(machine, argumentsOf(machine, image, start, found.layout));
  }
  return graph.outputs.map((tensor) => {
    const start = machine.base('outputs') + tensor.offset;
    return machine.bytes.slice(start, start + tensor.bytes);
  });
}

function argumentsOf(machine: Machine, image: DataView, start: number, layout: StructLayout): (name: string) => number {
  const words = image.getUint32(start + offsetOf('argument_words'), true);
  must(words * 8 === layout.size, machine, 'argument words');
  const bytes = new DataView(new ArrayBuffer(layout.size));
  for (let word = 0; word < words; word++) {
    const segment = image.getUint8(start + offsetOf('segment') + word);
    const kind = SEGMENT_KINDS[segment - 1];
    const base = segment === 0 || kind === undefined ? 0 : machine.base(kind);
    const value = image.getBigUint64(start + offsetOf('arguments') + word * 8, true);
    bytes.setBigUint64(word * 8, value + BigInt(base), true);
  }
  const fields: Readonly<Record<string, bigint>> = decodeStruct(layout, bytes, 0);
  return (name) => Number(fields[name]);
}
