/** From a graph to a compiled graph: bind shapes, lower, plan, pack. */
import { describeValue, invalidArgument, MtiaError } from '../driver/errors.js';
import { type Generation, PROTOCOL_VERSION, RESERVED, SPECIFICATIONS } from '../hw/index.js';
import {
  type CompiledGraph,
  ELEMENT_BYTES,
  type ElementType,
  type GraphSegment,
  type GraphTensor,
  SEGMENT_KINDS,
} from './compiled-graph.js';
import { invalidModel } from './errors.js';
import { encodeJobs, type ImageJob } from './graph-image.js';
import type { ModelGraph } from './ir/model-graph.js';
import { bindShapes, type InputShapes } from './lowering/bind-shapes.js';
import { lowerGraph, refuseUnsupported } from './lowering/lower-graph.js';
import { roundUp } from './packing/pack-weights.js';
import { WeightsSegment } from './packing/weights-segment.js';
import type { PlannedValue, WorkspaceBuffer } from './planning/buffers.js';
import { Grid } from './planning/footprints.js';
import { type Lifetime, planMemory } from './planning/memory-plan.js';
import { JobPlanner, type PlannedTypes } from './planning/plan-jobs.js';
import { type ScheduledJob, scheduleJobs } from './planning/schedule.js';
import { elementCount } from './tensor.js';

const ALIGNMENT = 64;

/**
 * Type in which matrices are multiplied; auto is bf16. int8: products with constant matrices in INT8, activations
 * quantised row by row as they come, weights once per column (I25); tables, interactions and activations stay bf16.
 */
export type ComputeType = 'bf16' | 'fp16' | 'int8' | 'auto';

/** What a model is compiled for. */
export interface CompileOptions {
  /** Chip; the grid, its memories and its element types follow from it. */
  readonly generation: Generation;
  /** Shapes that bind the model's symbolic dimensions, by name of the input or in the order of the inputs. */
  readonly inputShapes?: InputShapes;
  /** Bound to every symbolic dimension that `inputShapes` leaves open. */
  readonly batch?: number;
  /** Type in which matrices are multiplied; what suits the model when absent. */
  readonly dtype?: ComputeType;
}

/**
 * Compiles a model for one generation of the chip and one set of shapes.
 *
 * @example
 * const graph = compileModel(await readModel('films.pt2'), { generation: '2i', batch: 3200 });
 */
export function compileModel(model: ModelGraph, options: CompileOptions): CompiledGraph {
  return compileSizes(model, [options])[0] as CompiledGraph;
}

/** A size of a batch: what it is bound to beside the shapes that are the same for all. */
type SizeOptions = Omit<CompileOptions, 'batch'>;

/**
 * Compiles a model for several sizes of a batch. All graphs have the same array as their weights: what they have in common is in
 * it once, and Device.loadModels uploads it once.
 *
 * @example
 * const graphs = compileBatches(await readModel('films.pt2'), [1, 8, 64], { generation: '2i' });
 */
export function compileBatches(
  model: ModelGraph,
  batches: readonly number[],
  options: SizeOptions,
): readonly CompiledGraph[] {
  return compileSizes(
    model,
    batches.map((batch) => ({ ...options, batch })),
  );
}

/** Of one generation and type, all of them. */
function compileSizes(model: ModelGraph, sizes: readonly CompileOptions[]): readonly CompiledGraph[] {
  const weights = new WeightsSegment();
  const planned = sizes.map((options) => planSize(model, options, weights));
  const needs = planned.map(({ workspace, inputs, outputs }) => ({
    weights: weights.bytes,
    workspace: workspace.bytes,
    inputs: inputs.bytes,
    outputs: outputs.bytes,
  }));
  const largest = Math.max(...needs.map(({ workspace }) => workspace));
  for (const [index, { specification }] of planned.entries()) {
    checkMemory(needs[index] as SegmentBytes, specification.lpddrMaximumBytes.value);
  }
  const packed = weights.build();
  return planned.map((size, index) => ({
    name: model.name,
    generation: size.generation,
    protocolVersion: PROTOCOL_VERSION,
    computeType: size.computeType,
    inputs: size.inputs.tensors,
    outputs: size.outputs.tensors,
    segments: placeSegments(needs[index] as SegmentBytes, largest, size.specification.sramBytes.value),
    weights: packed,
    image: encodeJobs(size.scheduled.map((job) => imageJob(job, size.workspace.addressOf))),
    jobs: size.scheduled.map(({ job }) => ({ kernel: job.kernel, nodes: job.nodes, shape: job.shape })),
  }));
}

type SegmentBytes = Readonly<Record<(typeof SEGMENT_KINDS)[number], number>>;

interface PlannedSize {
  readonly generation: Generation;
  readonly specification: (typeof SPECIFICATIONS)[Generation];
  readonly computeType: CompiledGraph['computeType'];
  readonly inputs: PlacedTensors;
  readonly outputs: PlacedTensors;
  readonly scheduled: readonly ScheduledJob[];
  readonly workspace: Workspace;
}

/** Everything but the weights, in which it reserves its room. */
function planSize(model: ModelGraph, options: CompileOptions, weights: WeightsSegment): PlannedSize {
  checkArguments(model, options);
  const { generation } = options;
  const computeType = computeTypeOf(options.dtype ?? 'auto');
  const specification = SPECIFICATIONS[generation];
  refuseUnsupported(model);
  const shapes = bindShapes(model, options);
  const lowered = lowerGraph(model, shapes);
  const inputs = placeTensors(
    model.inputs.map((input, index) => ({ name: input.name, type: input.type, shape: shapes[index] ?? [] })),
  );
  const outputs = placeTensors(
    model.outputs.map((output, index) => {
      const layout = lowered.outputs[index];
      if (layout === undefined) throw invalidModel(`output "${output.name}"`, 'has no value');
      return { name: output.name, type: layout.type, shape: layout.shape };
    }),
  );
  const grid = new Grid(specification);
  const planner = new JobPlanner(lowered, grid, PLANNED_TYPES[computeType], weights, inputs.tensors, outputs.tensors);
  const { jobs, embeddingGroups } = planner.plan();
  const scheduled = scheduleJobs(jobs, grid);
  const workspace = planWorkspace(scheduled);
  for (const group of embeddingGroups) group.locate(workspace.addressOf);
  return { generation, specification, computeType, inputs, outputs, scheduled, workspace };
}

/** For programs that no compiler of TypeScript has checked. */
function checkArguments(model: ModelGraph, options: CompileOptions): void {
  if (!Array.isArray(model?.nodes) || !Array.isArray(model.inputs) || !Array.isArray(model.outputs))
    throw invalidArgument(`compileModel takes what readModel gives, got ${describeValue(model)}`);
  const generation: unknown = options?.generation;
  if (typeof generation === 'string' && Object.hasOwn(SPECIFICATIONS, generation)) return;
  const known = Object.keys(SPECIFICATIONS).join(' or ');
  throw invalidArgument(`generation is ${describeValue(generation)}; give ${known}`);
}

const PLANNED_TYPES: Readonly<Record<CompiledGraph['computeType'], PlannedTypes>> = {
  bf16: { half: 'bf16', int8: false },
  fp16: { half: 'fp16', int8: false },
  int8: { half: 'bf16', int8: true },
};

function computeTypeOf(type: ComputeType): CompiledGraph['computeType'] {
  if (type === 'auto') return 'bf16';
  if (Object.hasOwn(PLANNED_TYPES, type)) return type;
  throw invalidArgument(`dtype ${String(type)} is not one of bf16, fp16, int8, auto`);
}

interface NamedTensor {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
}

interface PlacedTensors {
  readonly tensors: readonly GraphTensor[];
  readonly bytes: number;
}

function placeTensors(tensors: readonly NamedTensor[]): PlacedTensors {
  let end = 0;
  const placed = tensors.map((tensor): GraphTensor => {
    const offset = end;
    const bytes = elementCount(tensor.shape) * ELEMENT_BYTES[tensor.type];
    end = roundUp(offset + bytes, ALIGNMENT);
    return { ...tensor, offset, bytes };
  });
  return { tensors: placed, bytes: end };
}

interface Workspace {
  readonly bytes: number;
  readonly addressOf: (buffer: WorkspaceBuffer) => number;
}

/** A buffer lives from the first level that touches it to the last. */
function planWorkspace(scheduled: readonly ScheduledJob[]): Workspace {
  const lives = new Map<WorkspaceBuffer, Lifetime>();
  for (const { job, level } of scheduled) {
    for (const { buffer } of [...job.reads, ...job.writes]) {
      const life = lives.get(buffer);
      lives.set(buffer, {
        bytes: buffer.rows * buffer.stride,
        first: Math.min(life?.first ?? level, level),
        last: Math.max(life?.last ?? level, level),
      });
    }
  }
  const plan = planMemory([...lives.values()]);
  const offsets = new Map([...lives.keys()].map((buffer, index) => [buffer, plan.offsets[index] ?? 0]));
  return { bytes: plan.bytes, addressOf: (buffer) => offsets.get(buffer) ?? 0 };
}

/** Before gigabytes of weights are packed for nothing. */
function checkMemory(bytes: SegmentBytes, limit: number): void {
  const total = SEGMENT_KINDS.reduce((sum, kind) => sum + bytes[kind], 0);
  if (total <= limit) return;
  throw new MtiaError(
    'OUT_OF_DEVICE_MEMORY',
    `the model needs ${total} bytes with these shapes; a device has ${limit}`,
  );
}

/**
 * The workspace is read and written most, so it gets SRAM first; weights follow where both leave half of it free, be it the
 * largest workspace of those that share the weights.
 */
function placeSegments(bytes: SegmentBytes, largestWorkspace: number, sramBytes: number): CompiledGraph['segments'] {
  const usable = sramBytes - RESERVED.SRAM_FIRMWARE_BYTES;
  const place = (size: number, fits: boolean): GraphSegment => ({ bytes: size, memory: fits ? 'sram' : 'lpddr' });
  return {
    weights: place(bytes.weights, bytes.weights + largestWorkspace <= usable / 2),
    workspace: place(bytes.workspace, bytes.workspace <= usable),
    inputs: place(bytes.inputs, false),
    outputs: place(bytes.outputs, false),
  };
}

function imageJob(scheduled: ScheduledJob, addressOf: (buffer: WorkspaceBuffer) => number): ImageJob {
  const { job, rectangle, footprint, barrier } = scheduled;
  const resolve = (value: PlannedValue): ImageJob['values'][string] =>
    typeof value === 'object' && 'buffer' in value
      ? { segment: 'workspace', offset: addressOf(value.buffer) + value.offset }
      : value;
  const values = Object.fromEntries(Object.entries(job.values).map(([name, value]) => [name, resolve(value)]));
  return { kernel: job.kernel, layout: job.layout, values: { ...values, ...footprint.values }, rectangle, barrier };
}
