/** Operations → jobs: every result gets a place, every operand the layout that its kernel wants. */
import { DATA_TYPE_BYTES, type DataTypeName } from '../../hw/index.js';
import type { ElementType, GraphTensor } from '../compiled-graph.js';
import { unsupported } from '../errors.js';
import type { LoweredModel } from '../lowering/lower-graph.js';
import {
  type EmbeddingBag,
  type FullyConnected,
  type Interaction,
  type Layout,
  type Operation,
  type Piece,
  piecesKey,
  wholeOperation,
  widthOf,
} from '../lowering/values.js';
import type { HalfType } from '../packing/half-types.js';
import type { ColumnRun } from '../packing/pack-weights.js';
import type { WeightsSegment } from '../packing/weights-segment.js';
import type { Place, PlannedJob, WorkspaceBuffer } from './buffers.js';
import {
  type Composite,
  type CompositeMode,
  claimSlots,
  compositeKey,
  DMA_ALIGNMENT,
  HALF_BYTES,
  makeComposite,
  paddedBytes,
  padsWholeRow,
  placeOfSlot,
  ROW_ALIGNMENT,
  runsOf,
  type Slot,
} from './composites.js';
import { type EmbeddingGroup, WeightPacker } from './constants.js';
import type { Grid } from './footprints.js';
import {
  convertJobs,
  copyJobs,
  embeddingBagJob,
  fullyConnectedJob,
  type HalfDataType,
  interactionJob,
  type MatrixOperand,
  paddedStride,
  quantizedBytes,
  quantizeJob,
} from './job-builders.js';

const EDGE_TYPES: Partial<Readonly<Record<ElementType, DataTypeName>>> = {
  float32: 'FP32',
  float16: 'FP16',
  bfloat16: 'BF16',
  int32: 'INT32',
  int8: 'INT8',
};

const SCALE_BYTES = 4;

interface Matrix extends MatrixOperand {
  readonly runs: readonly ColumnRun[];
}

/** Types in which a model is computed: matrices are multiplied in INT8 or in the type of everything else. */
export interface PlannedTypes {
  readonly half: HalfType;
  readonly int8: boolean;
}

export interface JobPlan {
  readonly jobs: readonly PlannedJob[];
  /** To be called with the address of every buffer, before the weights segment is built. */
  readonly embeddingGroups: readonly EmbeddingGroup[];
}

export class JobPlanner {
  readonly #model: LoweredModel;
  readonly #grid: Grid;
  readonly #type: HalfDataType;
  readonly #int8: boolean;
  readonly #weights: WeightPacker;
  readonly #inputs: readonly GraphTensor[];
  readonly #outputs: readonly GraphTensor[];
  readonly #homes = new Map<Operation, Place>();
  readonly #composites = new Map<string, Composite>();
  readonly #quantized = new Map<string, Matrix>();
  readonly #direct = new Map<Operation, { readonly output: number; readonly type: DataTypeName }>();
  readonly #jobs: PlannedJob[] = [];
  #nextBuffer = 0;

  constructor(
    model: LoweredModel,
    grid: Grid,
    types: PlannedTypes,
    weights: WeightsSegment,
    inputs: readonly GraphTensor[],
    outputs: readonly GraphTensor[],
  ) {
    this.#model = model;
    this.#grid = grid;
    this.#type = types.half === 'bf16' ? 'BF16' : 'FP16';
    this.#int8 = types.int8;
    this.#weights = new WeightPacker(weights, types.half);
    this.#inputs = inputs;
    this.#outputs = outputs;
  }

  plan(): JobPlan {
    this.#findDirectOutputs();
    for (const operation of this.#model.operations) this.#claimFor(operation);
    for (const layout of this.#model.outputs) {
      if (layout.pieces.length > 1 && !this.#copiesExactly(layout)) this.#composite('tight', layout);
    }
    for (const operation of this.#model.operations) {
      if (!this.#homes.has(operation)) this.#homes.set(operation, this.#ownPlace(operation));
    }
    for (const composite of this.#composites.values()) this.#fillEarly(composite);
    const embeddingGroups = this.#emitEmbeddingBags();
    for (const operation of this.#model.operations) this.#emit(operation);
    for (const [index, layout] of this.#model.outputs.entries()) this.#emitOutput(layout, index);
    return { jobs: this.#jobs, embeddingGroups };
  }

  // ---- places ----

  /** Operations whose one reader is an output of the model: they write its type, without rounding to the compute type. */
  #findDirectOutputs(): void {
    const readers = new Map<Operation, number>();
    const read = (layout: Layout): void => {
      for (const { source } of layout.pieces) {
        if (source.kind !== 'input') readers.set(source, (readers.get(source) ?? 0) + 1);
      }
    };
    for (const operation of this.#model.operations) if (operation.kind !== 'embedding_bag') read(operation.input);
    for (const output of this.#model.outputs) read(output);
    for (const [output, layout] of this.#model.outputs.entries()) {
      const whole = wholeOperation(layout);
      const type = EDGE_TYPES[layout.type];
      if (whole === undefined || type === undefined || readers.get(whole) !== 1) continue;
      if (whole.kind === 'fully_connected' || whole.kind === 'unary') this.#direct.set(whole, { output, type });
    }
  }

  #claimFor(operation: Operation): void {
    if (operation.kind === 'interaction') this.#composite('features', operation.input, operation.elements);
    else if (operation.kind === 'pack') {
      const composite = this.#composite('tight', operation.input);
      const { buffer } = composite;
      this.#homes.set(operation, { home: buffer, offset: 0, stride: buffer.stride, written: buffer.stride });
    } else if (operation.kind === 'fully_connected' && operation.input.pieces.length > 1) {
      this.#composite(this.#matrixMode, operation.input);
    }
  }

  get #matrixMode(): CompositeMode {
    return this.#int8 ? 'quantized' : 'matrix';
  }

  #composite(mode: CompositeMode, layout: Layout, elements = 0): Composite {
    const key = compositeKey(mode, layout, elements);
    const known = this.#composites.get(key);
    if (known !== undefined) return known;
    const composite = makeComposite(this.#nextBuffer++, mode, layout, elements);
    claimSlots(composite, this.#homes, (operation) => this.#direct.has(operation));
    for (const slot of composite.slots) {
      if (!composite.claimed.has(slot) && this.#leavesGap(slot)) composite.needsZeroes = true;
    }
    this.#composites.set(key, composite);
    return composite;
  }

  /** True where a slot is filled without its padding. */
  #leavesGap(slot: Slot): boolean {
    return slot.width > slot.piece.columns * HALF_BYTES && !padsWholeRow(slot);
  }

  #buffer(rows: number, stride: number): WorkspaceBuffer {
    return { id: this.#nextBuffer++, rows, stride };
  }

  #ownPlace(operation: Operation): Place {
    const { rows, columns } = operation;
    const direct = this.#direct.get(operation);
    if (direct === undefined) {
      const stride = paddedBytes(columns);
      return { home: this.#buffer(rows, stride), offset: 0, stride, written: stride };
    }
    const width = DATA_TYPE_BYTES[direct.type];
    const dense = columns * width;
    const tensor = this.#outputs[direct.output];
    // The stride of a single row is nobody's, so that its length does not matter.
    const isOneRow = operation.kind === 'fully_connected' && rows === 1;
    if (operation.kind === 'unary' || dense % DMA_ALIGNMENT === 0 || isOneRow) {
      const stride = isOneRow ? paddedStride(dense) : dense;
      return { home: 'outputs', offset: tensor?.offset ?? 0, stride, written: dense };
    }
    // Whole DMA units are stored; the conversion behind takes the columns that count.
    const written = Math.ceil(dense / DMA_ALIGNMENT) * DMA_ALIGNMENT;
    const stride = paddedStride(written);
    return { home: this.#buffer(rows, stride), offset: 0, stride, written };
  }

  #home(operation: Operation): Place {
    const place = this.#homes.get(operation);
    if (place === undefined) throw new RangeError(`operation ${operation.id} has no place`);
    return place;
  }

  /** Where the elements of a piece lie. `written` counts from its first element. */
  #placeOf(piece: Piece): { readonly place: Place; readonly type: DataTypeName } {
    const { source } = piece;
    if (source.kind === 'input') {
      const type = EDGE_TYPES[source.type];
      if (type === undefined) throw unsupported(`${source.type} input`, source.name, 'cannot be computed with');
      const width = DATA_TYPE_BYTES[type];
      const offset = (this.#inputs[source.index]?.offset ?? 0) + piece.offset * width;
      return { place: { home: 'inputs', offset, stride: piece.stride * width, written: piece.columns * width }, type };
    }
    const home = this.#home(source);
    const start = piece.offset * HALF_BYTES;
    const stride = source.kind === 'pack' ? piece.stride * HALF_BYTES : home.stride;
    return { place: { ...home, offset: home.offset + start, stride, written: home.written - start }, type: this.#type };
  }

  // ---- operands ----

  /** Fills what needs nothing but inputs, before any producer writes into the buffer. */
  #fillEarly(composite: Composite): void {
    this.#fillZeroes(composite);
    for (const slot of [...composite.slots].sort((a, b) => a.offset - b.offset)) {
      if (slot.piece.source.kind === 'input') this.#fillSlot(composite, slot);
    }
  }

  #fillZeroes(composite: Composite): void {
    if (!composite.needsZeroes || composite.emitted.has('zeroes')) return;
    composite.emitted.add('zeroes');
    const { buffer } = composite;
    const zeroes = this.#weights.zeroes(buffer.stride);
    const output = { home: buffer, offset: 0, stride: buffer.stride, written: buffer.stride };
    this.#jobs.push(...copyJobs(this.#grid, { constant: zeroes }, output, buffer.rows, buffer.stride, []));
  }

  #fill(composite: Composite): void {
    this.#fillEarly(composite);
    for (const slot of composite.slots) this.#fillSlot(composite, slot);
  }

  #fillSlot(composite: Composite, slot: Slot): void {
    if (composite.claimed.has(slot) || composite.emitted.has(slot)) return;
    composite.emitted.add(slot);
    const { piece } = slot;
    const { rows } = composite.buffer;
    const { place, type } = this.#placeOf(piece);
    const bytes = piece.columns * HALF_BYTES;
    const output = placeOfSlot(composite, slot, bytes);
    const nodes = piece.source.kind === 'input' ? [piece.source.name] : piece.source.nodes;
    if (type === this.#type && !padsWholeRow(slot)) {
      this.#jobs.push(...copyJobs(this.#grid, { place }, output, rows, bytes, nodes));
      return;
    }
    const conversion = { rows, columns: piece.columns, input: place, inputType: type, output, outputType: this.#type };
    const pad = padsWholeRow(slot);
    this.#jobs.push(...convertJobs(this.#grid, { ...conversion, pad, nodes, operator: 'input' }));
  }

  /** The operand of a matrix product: in place where alignment allows, else gathered. */
  #matrix(layout: Layout): Matrix {
    const columns = widthOf(layout);
    const kBytes = paddedBytes(columns);
    const piece = layout.pieces[0];
    if (
      layout.pieces.length === 1 &&
      piece !== undefined &&
      !this.#composites.has(compositeKey(this.#matrixMode, layout, 0))
    ) {
      const { place, type } = this.#placeOf(piece);
      const aligned = place.offset % DMA_ALIGNMENT === 0 && place.stride % ROW_ALIGNMENT === 0;
      if (type === this.#type && aligned && this.#isDefined(piece, place, kBytes)) {
        return { place, kBytes, runs: [{ source: 0, target: 0, count: columns }] };
      }
    }
    const composite = this.#composite(this.#matrixMode, layout);
    this.#fill(composite);
    const { buffer } = composite;
    const place = { home: buffer, offset: 0, stride: buffer.stride, written: buffer.stride };
    return { place, kBytes: buffer.stride, runs: runsOf(composite) };
  }

  /** The same in INT8, quantised once for all products that read it. */
  #quantizedMatrix(operation: FullyConnected): Matrix {
    const { input: layout, rows } = operation;
    const key = `${rows} ${piecesKey(layout.pieces)}`;
    const known = this.#quantized.get(key);
    if (known !== undefined) return known;
    const { place, runs } = this.#matrix(layout);
    const elements = Math.max(...runs.map((run) => run.target + run.count));
    const kBytes = quantizedBytes(elements);
    const buffer = this.#buffer(rows, kBytes);
    const scaleBytes = rows * SCALE_BYTES;
    const scales: Place = { home: this.#buffer(1, scaleBytes), offset: 0, stride: scaleBytes, written: scaleBytes };
    const quantized: Place = { home: buffer, offset: 0, stride: kBytes, written: kBytes };
    this.#jobs.push(quantizeJob(this.#grid, operation, place, elements, { place: quantized, scales }, this.#type));
    const matrix = { place: quantized, kBytes, runs, scales };
    this.#quantized.set(key, matrix);
    return matrix;
  }

  /** True where what pads a row of the operand is padding as well, and not some neighbour that might be no number. */
  #isDefined(piece: Piece, place: Place, kBytes: number): boolean {
    const exact = piece.columns * HALF_BYTES === kBytes;
    const { source } = piece;
    if (source.kind === 'input' || source.kind === 'pack') return exact;
    return exact || (piece.offset + piece.columns === source.columns && place.written >= kBytes);
  }

  // ---- jobs ----

  #emitEmbeddingBags(): readonly EmbeddingGroup[] {
    const groups = new Map<string, { readonly operation: EmbeddingBag; readonly place: Place }[]>();
    for (const operation of this.#model.operations) {
      if (operation.kind !== 'embedding_bag') continue;
      const place = this.#home(operation);
      const key = `${operation.rows} ${place.stride} ${place.written}`;
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [{ operation, place }]);
      else group.push({ operation, place });
    }
    return [...groups.values()].map((bags) => {
      const group = this.#weights.embeddingGroup(bags, this.#inputs);
      this.#jobs.push(embeddingBagJob(this.#grid, bags, group.descriptors, this.#type));
      return group;
    });
  }

  #emit(operation: Operation): void {
    switch (operation.kind) {
      case 'embedding_bag':
        return;
      case 'fully_connected':
        this.#emitFullyConnected(operation);
        return;
      case 'interaction':
        this.#emitInteraction(operation);
        return;
      case 'pack':
        this.#fill(this.#composite('tight', operation.input));
        return;
      case 'unary': {
        const piece = operation.input.pieces[0];
        if (piece === undefined) return;
        const { place, type } = this.#placeOf(piece);
        const { rows, columns, activation, nodes, operator } = operation;
        const direct = this.#direct.get(operation);
        const types = { inputType: type, outputType: direct?.type ?? this.#type };
        const pad = direct === undefined;
        const output = this.#home(operation);
        const job = { rows, columns, input: place, output, ...types, activation, pad, nodes, operator };
        this.#jobs.push(...convertJobs(this.#grid, job));
      }
    }
  }

  #emitFullyConnected(operation: FullyConnected): void {
    const input = this.#int8 ? this.#quantizedMatrix(operation) : this.#matrix(operation.input);
    const weights = this.#int8
      ? this.#weights.quantizedFullyConnected(operation, input.kBytes, input.runs)
      : this.#weights.fullyConnected(operation, input.kBytes, input.runs);
    const types = {
      input: this.#int8 ? ('INT8' as const) : this.#type,
      output: this.#direct.get(operation)?.type ?? this.#type,
    };
    this.#jobs.push(fullyConnectedJob(this.#grid, operation, input, this.#home(operation), weights, types));
  }

  #emitInteraction(operation: Interaction): void {
    const composite = this.#composite('features', operation.input, operation.elements);
    this.#fill(composite);
    const { buffer } = composite;
    const place = { home: buffer, offset: 0, stride: buffer.stride, written: buffer.stride };
    const input = { place, featureStride: paddedBytes(operation.elements) };
    const selection = this.#weights.selection(operation.selection);
    this.#jobs.push(interactionJob(this.#grid, operation, input, this.#home(operation), selection, this.#type));
  }

  // ---- outputs ----

  /** True where an output is made of inputs only: bytes move, nothing is rounded. */
  #copiesExactly(layout: Layout): boolean {
    return layout.pieces.every(({ source }) => source.kind === 'input' && source.type === layout.type);
  }

  #emitOutput(layout: Layout, index: number): void {
    const tensor = this.#outputs[index];
    if (tensor === undefined) return;
    const columns = widthOf(layout);
    const width = tensor.bytes / (layout.rows * columns);
    const dense: Place = { home: 'outputs', offset: tensor.offset, stride: columns * width, written: columns * width };
    if (this.#copiesExactly(layout)) {
      this.#copyInputs(layout, dense, width);
      return;
    }
    const outputType = EDGE_TYPES[layout.type];
    if (outputType === undefined) throw unsupported(`${layout.type} output`, tensor.name, 'cannot be computed');
    const whole = wholeOperation(layout);
    const direct = whole === undefined ? undefined : this.#direct.get(whole);
    if (whole !== undefined && direct !== undefined && this.#home(whole).home === 'outputs') return;
    const { place, type } = this.#dense(layout, direct?.type);
    const conversion = { rows: layout.rows, columns, input: place, inputType: type, output: dense, outputType };
    this.#jobs.push(...convertJobs(this.#grid, { ...conversion, nodes: [tensor.name], operator: 'output' }));
  }

  /** All columns of a layout side by side. */
  #dense(layout: Layout, directType: DataTypeName | undefined): { readonly place: Place; readonly type: DataTypeName } {
    const piece = layout.pieces[0];
    if (layout.pieces.length === 1 && piece !== undefined) {
      const { place, type } = this.#placeOf(piece);
      return { place, type: directType ?? type };
    }
    const composite = this.#composite('tight', layout);
    this.#fill(composite);
    const { buffer } = composite;
    const place = { home: buffer, offset: 0, stride: buffer.stride, written: buffer.stride };
    return { place, type: this.#type };
  }

  #copyInputs(layout: Layout, dense: Place, width: number): void {
    let column = 0;
    for (const piece of layout.pieces) {
      if (piece.source.kind !== 'input') continue;
      const offset = (this.#inputs[piece.source.index]?.offset ?? 0) + piece.offset * width;
      const bytes = piece.columns * width;
      const place: Place = { home: 'inputs', offset, stride: piece.stride * width, written: bytes };
      const output = { ...dense, offset: dense.offset + column * width };
      this.#jobs.push(...copyJobs(this.#grid, { place }, output, layout.rows, bytes, [piece.source.name]));
      column += piece.columns;
    }
  }
}
