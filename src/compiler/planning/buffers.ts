/** Memory of the workspace before it has addresses, and what jobs do to it. */
import type { KernelName, StructLayout } from '../../hw/index.js';
import type { ArgumentValue } from '../graph-image.js';

/** Rows of one stride in the workspace. */
export interface WorkspaceBuffer {
  readonly id: number;
  readonly rows: number;
  readonly stride: number;
}

/** Where rows lie: in a buffer, or at a fixed place of a segment. */
export interface Place {
  readonly home: WorkspaceBuffer | 'inputs' | 'outputs';
  /** Bytes from the start of the buffer or segment. */
  readonly offset: number;
  readonly stride: number;
  /** Bytes of a row that are written: the elements, and the padding behind them where it is defined. */
  readonly written: number;
}

/** Bytes low..high of every row of a buffer. */
export interface Access {
  readonly buffer: WorkspaceBuffer;
  readonly low: number;
  readonly high: number;
}

/** An address in the workspace, known once the memory plan is. */
export interface BufferAddress {
  readonly buffer: WorkspaceBuffer;
  readonly offset: number;
}

export type PlannedValue = ArgumentValue | BufferAddress;

/** How a job would use the grid. */
export interface Footprint {
  readonly columns: number;
  readonly rows: number;
  /** Estimated device cycles. */
  readonly cycles: number;
  /** Arguments that depend on the footprint. */
  readonly values: Readonly<Record<string, number>>;
}

export interface PlannedJob {
  readonly kernel: KernelName;
  readonly layout: StructLayout;
  readonly values: Readonly<Record<string, PlannedValue>>;
  readonly reads: readonly Access[];
  readonly writes: readonly Access[];
  readonly nodes: readonly string[];
  readonly shape: string;
  /** The best footprint within `maximumRows` rows of the grid. */
  readonly footprint: (maximumRows: number) => Footprint;
}

export function addressOf(place: Place, bytes = 0): PlannedValue {
  const offset = place.offset + bytes;
  return typeof place.home === 'string' ? { segment: place.home, offset } : { buffer: place.home, offset };
}

/** Bytes from..from + length of every row of a place, as an access; nothing where the place is no buffer. */
export function accessOf(place: Place, length: number, from = 0): readonly Access[] {
  if (typeof place.home === 'string') return [];
  // Rows cut anew (packed buffers) do not line up with those of the buffer.
  if (place.stride !== place.home.stride) return [{ buffer: place.home, low: 0, high: place.home.stride }];
  const low = place.offset + from;
  return [{ buffer: place.home, low, high: low + length }];
}

export function overlap(a: Access, b: Access): boolean {
  return a.buffer === b.buffer && a.low < b.high && b.low < a.high;
}
