/**
 * What streams do while they are captured: their commands are taken down as nodes of a graph, each with the nodes that it
 * comes after. Events carry the capture from stream to stream.
 */
import { type CompletionRecord, describeValue, invalidArgument, MtiaError } from '../driver/index.js';
import type { CommandStream } from './command-stream.js';
import type { DeviceBuffer } from './device-buffer.js';
import type { BufferOwner } from './owned-buffer.js';

/** A 64-bit word of a node: a value, or an offset in a buffer that a replay may replace. */
export interface NodeWord {
  readonly value: bigint;
  readonly buffer?: DeviceBuffer;
}

/** What a node does: a job on processing elements, a copy or fill on the device, or a copy across the host interface. */
export type NodeWork =
  | {
      readonly kind: 'launch';
      readonly kernel: number;
      readonly rectangle: number;
      readonly words: readonly NodeWord[];
    }
  | { readonly kind: 'copy' | 'fill'; readonly words: readonly NodeWord[] }
  | {
      readonly kind: 'upload' | 'download';
      readonly device: NodeWord;
      readonly iova: bigint;
      readonly bytes: number;
    };

export interface GraphNode {
  readonly work: NodeWork;
  /** Nodes that are done before this one starts, none of them before another of the list. */
  readonly after: readonly number[];
  /** Nodes of one depth do not depend on each other. */
  readonly depth: number;
}

/** A place in a capture, as an event marks it: the nodes that come before. */
export interface CapturePoint {
  readonly capture: Capture;
  readonly after: readonly number[];
}

/** What the promise of a captured command resolves with: nothing has run. */
const CAPTURED: Promise<CompletionRecord> = Promise.resolve({ deviceUs: 0, jobs: 0 });

export class Capture {
  readonly nodes: GraphNode[] = [];
  /** Called when the capture is over, however it ended. */
  readonly #releases: (() => void)[] = [];
  readonly #origin: CommandStream;
  /** Stands for the device: streams of another one are refused. */
  readonly #owner: BufferOwner;
  readonly #streams = new Map<CommandStream, readonly number[]>();
  #invalid: MtiaError | undefined;
  #ended = false;

  constructor(origin: CommandStream, owner: BufferOwner) {
    this.#origin = origin;
    this.#owner = owner;
    this.#draw(origin, []);
  }

  /** The error of a command that no graph holds. The capture is invalid from now on. */
  refuse(what: string): MtiaError {
    const error = new MtiaError('CAPTURE_UNSUPPORTED', `${what} cannot be captured; do it before or after the capture`);
    this.#invalid ??= error;
    return error;
  }

  /** Memory that the nodes use beside buffers: `free` is called when nobody needs it any more. */
  keep(free: () => void): void {
    this.#releases.push(free);
  }

  add(stream: CommandStream, work: NodeWork): Promise<CompletionRecord> {
    const after = this.#streams.get(stream) ?? [];
    const depth = after.reduce((most, node) => Math.max(most, (this.nodes[node]?.depth ?? 0) + 1), 0);
    this.#streams.set(stream, [this.nodes.length]);
    this.nodes.push({ work, after, depth });
    return CAPTURED;
  }

  /** The present end of a captured stream. */
  mark(stream: CommandStream): CapturePoint {
    return { capture: this, after: this.#streams.get(stream) ?? [] };
  }

  /** Makes the stream wait for the point; one that is not captured yet is drawn in. */
  join(stream: CommandStream, { after }: CapturePoint, owner: BufferOwner): void {
    if (owner !== this.#owner) {
      throw (
        this.#owner.failure ??
        owner.failure ??
        invalidArgument('the event was recorded in a capture of another device; a capture has streams of one')
      );
    }
    if (this.#ended) {
      throw new MtiaError('CAPTURE_UNSUPPORTED', 'the event was recorded in a capture that is over; record it again');
    }
    if (stream.capture === undefined) this.#draw(stream, after);
    else if (stream.capture !== this) throw this.refuse('waiting for an event of another capture');
    else this.#streams.set(stream, [...new Set([...(this.#streams.get(stream) ?? []), ...after])]);
  }

  /** Ends the capture for all of its streams. Throws where it makes no graph. */
  end(stream: CommandStream): void {
    if (stream !== this.#origin) throw this.refuse('ending the capture on a stream that it did not begin on');
    this.#leave();
    const failure = this.#failure();
    if (failure === undefined) return;
    this.release();
    throw failure;
  }

  /** The stream goes away without an end: the capture makes no graph, and where it began here it is over. */
  abandon(stream: CommandStream): void {
    this.refuse('disposing of a stream');
    if (stream === this.#origin) {
      this.#leave();
      this.release();
      return;
    }
    this.#streams.delete(stream);
    stream.capture = undefined;
  }

  /** Whether something was asked for that no graph holds: the end throws. */
  get invalid(): boolean {
    return this.#invalid !== undefined;
  }

  /** Gives back what the nodes use. */
  release(): void {
    for (const free of this.#releases.splice(0)) free();
  }

  #leave(): void {
    for (const drawn of this.#streams.keys()) drawn.capture = undefined;
    this.#ended = true;
  }

  #draw(stream: CommandStream, after: readonly number[]): void {
    stream.capture = this;
    this.#streams.set(stream, after);
  }

  #failure(): MtiaError | undefined {
    if (this.#invalid !== undefined) {
      return new MtiaError('CAPTURE_INVALIDATED', `the capture makes no graph: ${this.#invalid.message}`, {
        cause: this.#invalid,
      });
    }
    const joined = this.#reachable(this.#streams.get(this.#origin) ?? []);
    const loose = [...this.#streams.values()].flat().filter((node) => !joined.has(node));
    if (loose.length === 0) return undefined;
    const nodes = loose.length === 1 ? `node ${loose[0]} is` : `nodes ${loose.join(', ')} are`;
    return new MtiaError(
      'CAPTURE_UNJOINED',
      `${nodes} not before the end of the capture; have its stream wait for theirs`,
    );
  }

  /** The nodes that come before the end that these are. */
  #reachable(ends: readonly number[]): Set<number> {
    const found = new Set<number>();
    const open = [...ends];
    for (let node = open.pop(); node !== undefined; node = open.pop()) {
      if (found.has(node)) continue;
      found.add(node);
      open.push(...(this.nodes[node]?.after ?? []));
    }
    return found;
  }
}

/** A function that awaits would go on when the capture is over; one may well return the promise of a command. */
export function checkSynchronous(enqueue: unknown): void {
  if (typeof enqueue !== 'function') throw invalidArgument(`expected a function, got ${describeValue(enqueue)}`);
  if (Object.prototype.toString.call(enqueue) !== '[object AsyncFunction]') return;
  throw invalidArgument('a function that is captured may not be async: the capture ends when it returns');
}
