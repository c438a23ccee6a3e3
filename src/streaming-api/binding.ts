/** What one run of a compiled model in flight holds: inputs, outputs and workspace on the device, staging on the host. */
import { type CompiledGraph, SEGMENT_KINDS, type SegmentKind } from '../compiler/compiled-graph.js';
import type { CompletionRecord } from '../driver/index.js';
import { HOST_COMMAND } from '../hw/index.js';
import type { PinnedBuffer } from '../memmgr/index.js';
import type { DeviceBuffer } from './device-buffer.js';
import { deadlineUs } from './launch.js';
import { allocateNear, type ModelHost, upload } from './model-memory.js';
import type { RunOptions } from './model-types.js';
import type { SharedWeights } from './shared-weights.js';
import type { Stream } from './stream.js';

/** The parts of a model on the device that all of its runs share. */
export interface LoadedGraph {
  readonly graph: CompiledGraph;
  readonly image: DeviceBuffer;
  readonly weights: SharedWeights;
}

/** The three commands of a run, in their order. */
export interface RunRecords {
  readonly graph: CompletionRecord;
  readonly copies: readonly CompletionRecord[];
}

type Segments = Readonly<Partial<Record<SegmentKind, DeviceBuffer>>>;

export class Binding {
  /** Where inputs are put before `start`. */
  readonly inputs: Uint8Array;
  /** Where outputs are when a run is done. */
  readonly outputs: Uint8Array;
  readonly #loaded: LoadedGraph;
  readonly #segments: Segments;
  readonly #bases: DeviceBuffer;
  readonly #staging: readonly [inputs: PinnedBuffer | undefined, outputs: PinnedBuffer | undefined];

  static async create(host: ModelHost, loaded: LoadedGraph): Promise<Binding> {
    const { segments } = loaded.graph;
    const own: DeviceBuffer[] = [];
    const allocate = async (kind: SegmentKind): Promise<DeviceBuffer | undefined> => {
      const { bytes, memory } = segments[kind];
      if (bytes === 0) return undefined;
      const buffer = await allocateNear(host, bytes, memory);
      own.push(buffer);
      return buffer;
    };
    const pinned: PinnedBuffer[] = [];
    const pin = (kind: SegmentKind): PinnedBuffer | undefined => {
      if (segments[kind].bytes === 0) return undefined;
      const buffer = host.pinned.allocate(segments[kind].bytes);
      pinned.push(buffer);
      return buffer;
    };
    try {
      const bound: Partial<Record<SegmentKind, DeviceBuffer>> = {};
      if (loaded.weights.buffer !== undefined) bound.weights = loaded.weights.buffer;
      for (const kind of ['workspace', 'inputs', 'outputs'] as const) {
        const buffer = await allocate(kind);
        if (buffer !== undefined) bound[kind] = buffer;
      }
      const bases = await allocateNear(host, SEGMENT_KINDS.length * 8, 'lpddr');
      own.push(bases);
      const addresses = BigUint64Array.from(SEGMENT_KINDS, (kind) => bound[kind]?.address ?? 0n);
      await upload(host.defaultStream, bases, new Uint8Array(addresses.buffer));
      return new Binding(loaded, bound, bases, [pin('inputs'), pin('outputs')]);
    } catch (error) {
      for (const buffer of own) buffer.free();
      for (const buffer of pinned) buffer.free();
      throw error;
    }
  }

  private constructor(
    loaded: LoadedGraph,
    segments: Segments,
    bases: DeviceBuffer,
    staging: readonly [PinnedBuffer | undefined, PinnedBuffer | undefined],
  ) {
    this.#loaded = loaded;
    this.#segments = segments;
    this.#bases = bases;
    this.#staging = staging;
    this.inputs = staging[0]?.view ?? new Uint8Array();
    this.outputs = staging[1]?.view ?? new Uint8Array();
  }

  /** Enqueues a run on what `inputs` holds now. Settles when none of its commands is under way any more. */
  async start(stream: Stream, options: RunOptions): Promise<RunRecords> {
    const { commands } = stream;
    const { image } = this.#loaded;
    const [hostInputs, hostOutputs] = this.#staging;
    const { inputs, outputs } = this.#segments;
    const copies: Promise<CompletionRecord>[] = [];
    const graphDeadlineUs = deadlineUs(options.deadlineMs);
    commands.checkOpen();
    if (hostInputs !== undefined && inputs !== undefined) {
      const { iova, bytes } = hostInputs;
      const command = { opcode: HOST_COMMAND.COPY_HOST_TO_DEVICE, a: iova, b: inputs.address, c: bytes };
      copies.push(commands.submit(command));
    }
    const launch = {
      opcode: HOST_COMMAND.GRAPH_LAUNCH,
      a: image.address,
      b: this.#bases.address,
      c: SEGMENT_KINDS.length,
      deadlineUs: graphDeadlineUs,
    };
    const graph = commands.submit(launch, [], options.signal === undefined ? {} : { signal: options.signal });
    if (hostOutputs !== undefined && outputs !== undefined) {
      const { iova, bytes } = hostOutputs;
      const command = { opcode: HOST_COMMAND.COPY_DEVICE_TO_HOST, a: outputs.address, b: iova, c: bytes };
      copies.push(commands.submit(command));
    }
    await Promise.allSettled([graph, ...copies]);
    return { graph: await graph, copies: await Promise.all(copies) };
  }

  /** No run may be under way. */
  free(): void {
    for (const kind of ['workspace', 'inputs', 'outputs'] as const) this.#segments[kind]?.free();
    this.#bases.free();
    for (const staging of this.#staging) staging?.free();
  }
}
