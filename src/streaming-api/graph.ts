import {
  type CompletionRecord,
  checkOptions,
  closedError,
  describeValue,
  deviceError,
  invalidArgument,
  type MtiaError,
} from '../driver/index.js';
import { HOST_COMMAND } from '../hw/index.js';
import type { AllocationOptions, DeviceAllocation } from '../memmgr/index.js';
import type { Capture, GraphNode } from './capture.js';
import { addressOf, basesOf, type GraphLayout, type GraphPart, layOutGraph } from './captured-graph-image.js';
import { DeviceBuffer } from './device-buffer.js';
import { deadlineUs } from './launch.js';
import type { BufferOwner } from './owned-buffer.js';
import { Stream } from './stream.js';
import { UseCount } from './use-count.js';

/** What one replay of a graph differs in. */
export interface ReplayOptions {
  /** Buffers to use in place of those that were captured: `new Map([[old, other]])`. */
  readonly bindings?: Iterable<readonly [captured: DeviceBuffer, other: DeviceBuffer]>;
  /** Milliseconds that the graph may take from the start of its first job. */
  readonly deadlineMs?: number;
  /** Aborts the replay, before it starts or while it runs. */
  readonly signal?: AbortSignal;
}

/** What a graph needs of its device. */
export interface GraphHost {
  readonly owner: BufferOwner;
  readonly defaultStream: Stream;
  allocate(bytes: number, options?: AllocationOptions): Promise<DeviceAllocation>;
}

type Bound = ReadonlyMap<DeviceBuffer, DeviceBuffer>;

/** Bytes of an image that one copy moves. */
const UPLOAD_BYTES = 1024 * 1024;

/**
 * Commands that were captured from streams and are replayed as often as one likes, by one command to the device.
 *
 * ```ts
 * await using graph = device.createGraph();
 * graph.captureBegin(stream);
 * stream.launch(kernel, { grid }, [input, output, 64]);
 * stream.copy(history, output);
 * graph.captureEnd();
 * await graph.instantiate();
 * await graph.replay(stream);
 * await graph.replay(stream, { bindings: [[input, other]] });
 * ```
 *
 * A graph keeps the buffers that it uses: one that is freed meanwhile goes back when the graph is closed. It does not know
 * addresses that are passed to a kernel as plain integers: those are not replaced, and their memory is the caller's to keep.
 */
export class Graph implements AsyncDisposable {
  readonly #host: GraphHost;
  readonly #onClosed: (graph: Graph) => void;
  #capture: Capture | undefined;
  #capturing: Stream | undefined;
  #layout: GraphLayout | undefined;
  #memory: DeviceBuffer | undefined;
  /** Commands that may use the memory still: those of a device that was lost for ever. */
  #replays = new UseCount();
  readonly #running = new Set<Promise<unknown>>();
  #instantiating: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  /** Use Device.createGraph, Device.capture or Stream.endCapture. */
  constructor(host: GraphHost, onClosed: (graph: Graph) => void, capture?: Capture) {
    this.#host = host;
    this.#onClosed = onClosed;
    if (capture !== undefined) this.#take(capture);
  }

  /** Number of captured commands; place.jobIndex of a failed replay counts them in the order of the capture. */
  get nodeCount(): number {
    return this.#capture?.nodes.length ?? 0;
  }

  /** Whether the graph lies on the device and can be replayed. */
  get instantiated(): boolean {
    return this.#memory !== undefined;
  }

  /** Whether close() was called: every use fails with DEVICE_CLOSED. */
  get closed(): boolean {
    return this.#closing !== undefined;
  }

  /** From now on commands of the stream are taken down and not run. */
  captureBegin(stream: Stream = this.#host.defaultStream): void {
    this.#checkOpen();
    this.#checkStream(stream);
    if (this.#capture !== undefined || this.#capturing !== undefined) {
      throw invalidArgument('the graph is captured already; call reset first');
    }
    stream.beginCapture();
    this.#capturing = stream;
  }

  /** Ends the capture. Throws CAPTURE_INVALIDATED or CAPTURE_UNJOINED where it makes no graph; the streams work again. */
  captureEnd(): void {
    this.#checkOpen();
    const stream = this.#capturing;
    if (stream === undefined) throw invalidArgument('no capture has begun; call captureBegin first');
    this.#capturing = undefined;
    const capture = stream.finishCapture();
    try {
      this.#take(capture);
    } catch (error) {
      capture.release();
      throw error;
    }
  }

  /** Puts the graph on the device. Idempotent. */
  async instantiate(): Promise<this> {
    this.#checkOpen();
    if (this.#memory === undefined) {
      this.#instantiating ??= this.#instantiate().finally(() => {
        this.#instantiating = undefined;
      });
      await this.#instantiating;
    }
    return this;
  }

  /** Writes the graph to the device again, in the order of the stream. */
  async upload(stream: Stream = this.#host.defaultStream): Promise<void> {
    await this.#upload(this.#instantiated(), this.#captured(), stream);
  }

  /**
   * Runs the captured commands. Every replay uses what its buffers hold when its turn comes.
   *
   * @returns device time and jobs of all of them
   */
  replay(stream: Stream = this.#host.defaultStream, options: ReplayOptions = {}): Promise<CompletionRecord> {
    if (!(stream instanceof Stream)) return Promise.reject(noStream(stream));
    try {
      const done = this.#replay(stream, options);
      const ended = (): boolean => this.#running.delete(done);
      this.#running.add(done);
      done.then(ended, ended);
      return done;
    } catch (error) {
      return stream.commands.refuse(error);
    }
  }

  /**
   * Takes the parameters of another capture: buffers, arguments, rectangles, sizes. Kinds and order of the commands must be
   * the same, and kernels. What is replayed on the stream from now on uses them; `other` is empty afterwards.
   */
  async update(other: Graph, stream: Stream = this.#host.defaultStream): Promise<void> {
    const memory = this.#instantiated();
    this.#checkStream(stream);
    if (!(other instanceof Graph)) throw invalidArgument(`expected a graph, got ${describeValue(other)}`);
    if (other === this) throw invalidArgument('a graph is updated from another one; capture anew and pass that');
    if (other.#host.owner !== this.#host.owner) {
      throw other.#host.owner.failure ?? invalidArgument('the other graph belongs to another device');
    }
    const capture = other.#capture;
    const layout = other.#layout;
    if (capture === undefined || layout === undefined)
      throw invalidArgument('the other graph holds no capture; capture into it first');
    checkSameShape(this.#capture?.nodes ?? [], capture.nodes);
    if (layout.bytes.byteLength > memory.bytes) {
      const [larger, own] = [layout.bytes.byteLength, memory.bytes];
      throw invalidArgument(`the other capture takes ${larger} bytes, this graph has ${own}; instantiate it instead`);
    }
    other.#capture = undefined;
    other.#layout = undefined;
    other.reset();
    const release = this.#let();
    this.#capture = capture;
    this.#layout = layout;
    // Replays that were enqueued before read the image until they are done: the copy is behind them on their stream.
    await this.upload(stream).finally(release);
  }

  /** Forgets the capture and gives the memory back; the graph may be captured anew. Replays under way go on. */
  reset(): void {
    if (this.#capturing !== undefined) throw invalidArgument('the graph is being captured; call captureEnd first');
    const memory = this.#memory;
    const release = this.#let();
    this.#memory = undefined;
    memory?.free();
    const replays = this.#replays;
    this.#replays = new UseCount();
    replays.whenIdle(release);
  }

  /** As reset, once the replays under way are done. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    if (this.#capturing !== undefined) {
      const stream = this.#capturing;
      this.#capturing = undefined;
      try {
        stream.finishCapture().release();
      } catch {
        // A capture that makes no graph has nothing to give back.
      }
    }
    await Promise.allSettled(this.#running);
    this.reset();
    this.#onClosed(this);
  }

  async #instantiate(): Promise<void> {
    const layout = this.#captured();
    const memory = new DeviceBuffer(this.#host.owner, await this.#host.allocate(layout.bytes.byteLength));
    try {
      await this.#upload(memory, layout, this.#host.defaultStream);
      this.#checkOpen();
      if (this.#layout !== layout) throw invalidArgument('the graph was reset while it was instantiated');
    } catch (error) {
      memory.free();
      throw error;
    }
    this.#memory = memory;
  }

  async #upload(memory: DeviceBuffer, { bytes }: GraphLayout, stream: Stream): Promise<void> {
    this.#checkStream(stream);
    // A capture would take the image, and the device would never get it.
    stream.commands.checkNotCapturing('the upload of a graph');
    const copies = [];
    for (let offset = 0; offset < bytes.byteLength; offset += UPLOAD_BYTES) {
      const piece = bytes.subarray(offset, offset + UPLOAD_BYTES);
      copies.push(stream.copyToDevice(memory, piece, { destinationOffset: offset }));
    }
    await Promise.all(copies);
  }

  #checkStream(stream: Stream): void {
    if (!(stream instanceof Stream)) throw noStream(stream);
    const { owner } = this.#host;
    if (stream.owner === owner) return;
    throw owner.failure ?? stream.owner.failure ?? invalidArgument('the stream belongs to another device');
  }

  #take(capture: Capture): void {
    const layout = layOutGraph(capture.nodes);
    for (const buffer of layout.buffers) buffer.uses.begin();
    capture.keep(() => {
      for (const buffer of layout.buffers) buffer.uses.end();
    });
    this.#capture = capture;
    this.#layout = layout;
  }

  /** Forgets the capture; what is returned lets go of its memory. */
  #let(): () => void {
    const capture = this.#capture;
    this.#capture = undefined;
    this.#layout = undefined;
    return () => capture?.release();
  }

  #replay(stream: Stream, options: ReplayOptions): Promise<CompletionRecord> {
    this.#checkOpen();
    checkOptions(options);
    const { bindings, deadlineMs, signal } = options;
    const memory = this.#instantiated();
    const layout = this.#captured();
    const { commands } = stream;
    commands.checkNotCapturing('the replay of a graph');
    memory.checkBelongsTo(stream.owner, 'the graph');
    const bound = this.#bind(layout, bindings);
    const others = [...bound.values()].map((buffer) => buffer.uses);
    const uses = [memory.uses, this.#replays, ...others];
    const bases = bound.size === 0 ? Number(memory.address) : stream.stageWords(basesOf(layout.segments, bound));
    const us = deadlineUs(deadlineMs);
    const records = layout.parts.map((part) => {
      if (part.kind === 'transfer') return commands.submit(transferCommand(part, bound), uses, { signal });
      const command = {
        opcode: HOST_COMMAND.GRAPH_LAUNCH,
        a: Number(memory.address) + part.offset,
        b: bases,
        c: layout.segments.length,
        d: 0,
        deadlineUs: us,
      };
      return commands.submit(command, uses, { signal, explain: (error) => atNode(error, part.nodes) });
    });
    const [only] = records;
    return records.length === 1 && only !== undefined ? only : total(records);
  }

  #bind(layout: GraphLayout, bindings: ReplayOptions['bindings']): Bound {
    const bound = mapOf(bindings);
    for (const [captured, other] of bound) {
      if (!layout.segments.includes(captured)) {
        throw invalidArgument('a binding replaces a buffer that the graph does not use, or one beyond the first 64');
      }
      if (!(other instanceof DeviceBuffer)) throw invalidArgument(`expected a buffer, got ${describeValue(other)}`);
      other.checkBelongsTo(this.#host.owner);
      if (other.freed) throw closedError(`the device buffer of ${other.bytes} bytes`);
      if (other.bytes < captured.bytes) {
        throw invalidArgument(
          `a binding replaces ${captured.bytes} bytes by ${other.bytes}; give a buffer at least as large`,
        );
      }
    }
    return bound;
  }

  #captured(): GraphLayout {
    if (this.#layout === undefined)
      throw invalidArgument('the graph is not captured; call captureBegin and captureEnd');
    return this.#layout;
  }

  #instantiated(): DeviceBuffer {
    this.#checkOpen();
    if (this.#memory === undefined)
      throw invalidArgument('the graph is not instantiated; await its instantiate() first');
    return this.#memory;
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw closedError('the graph');
  }
}

function noStream(given: unknown): MtiaError {
  return invalidArgument(`expected a stream, got ${describeValue(given)}`);
}

function mapOf(bindings: ReplayOptions['bindings']): Map<DeviceBuffer, DeviceBuffer> {
  try {
    return new Map(bindings);
  } catch {
    throw invalidArgument(
      `bindings are pairs of buffers, got ${describeValue(bindings)}; give [[captured, other]] or a Map`,
    );
  }
}

function transferCommand(
  { work }: Extract<GraphPart, { kind: 'transfer' }>,
  bound: Bound,
): { opcode: number; a: bigint; b: bigint; c: number } {
  const address = addressOf(work.device, bound);
  if (work.bytes === 0) return { opcode: HOST_COMMAND.NOP, a: 0n, b: 0n, c: 0 };
  return work.kind === 'upload'
    ? { opcode: HOST_COMMAND.COPY_HOST_TO_DEVICE, a: work.iova, b: address, c: work.bytes }
    : { opcode: HOST_COMMAND.COPY_DEVICE_TO_HOST, a: address, b: work.iova, c: work.bytes };
}

async function total(records: readonly Promise<CompletionRecord>[]): Promise<CompletionRecord> {
  await Promise.allSettled(records);
  let deviceUs = 0;
  let jobs = 0;
  for (const record of await Promise.all(records)) {
    deviceUs += record.deviceUs;
    jobs += record.jobs;
  }
  return { deviceUs, jobs };
}

/** The firmware counts records of one image; a person counts captured commands. */
function atNode(error: MtiaError, nodes: readonly number[]): MtiaError {
  const { code, place, cause } = error;
  if (place?.jobIndex === undefined) return error;
  const jobIndex = nodes[place.jobIndex] ?? place.jobIndex;
  return deviceError(code, { ...place, jobIndex }, cause === undefined ? {} : { cause });
}

function checkSameShape(mine: readonly GraphNode[], theirs: readonly GraphNode[]): void {
  const same =
    mine.length === theirs.length &&
    mine.every(({ work, depth }, index) => {
      const other = theirs[index];
      if (other?.work.kind !== work.kind || other.depth !== depth) return false;
      return work.kind !== 'launch' || other.work.kind !== 'launch' || other.work.kernel === work.kernel;
    });
  if (!same) throw invalidArgument('the other capture has other commands, kernels or order; instantiate it instead');
}
