/**
 * Buffers that hold several pieces side by side. Producers write straight into their slot where alignment allows; only
 * what cannot be written in place is copied.
 */

import {
  columnRange,
  isDense,
  type Layout,
  type Operation,
  type Piece,
  piecesKey,
  widthOf,
} from '../lowering/values.js';
import type { ColumnRun } from '../packing/pack-weights.js';
import { roundUp } from '../packing/pack-weights.js';
import type { Place, WorkspaceBuffer } from './buffers.js';

/** Rows that matrices multiply are multiples of it, in bytes. */
export const ROW_ALIGNMENT = 64;
/** DMA of MTIA v1 begins at multiples of it. */
export const DMA_ALIGNMENT = 32;
export const HALF_BYTES = 2;

/**
 * matrix: slots in any order, each padded with zeros, because the weights that meet them can be arranged likewise.
 * quantized: as matrix, but all padding is zero, because it counts in the maximum of its row.
 * features: slots at multiples of the padded feature. tight: no padding anywhere, in the order of the layout.
 */
export type CompositeMode = 'matrix' | 'quantized' | 'features' | 'tight';

export interface Slot {
  readonly piece: Piece;
  /** First column in the layout. */
  readonly column: number;
  readonly offset: number;
  /** Bytes with padding. */
  readonly width: number;
}

export interface Composite {
  readonly mode: CompositeMode;
  readonly buffer: WorkspaceBuffer;
  readonly slots: readonly Slot[];
  /** Slots that their producer writes. */
  readonly claimed: Set<Slot>;
  /** Some padding has no writer: the buffer is zeroed first. */
  needsZeroes: boolean;
  /** How far the jobs that fill it have been emitted. */
  readonly emitted: Set<Slot | 'zeroes'>;
}

export const paddedBytes = (columns: number): number => roundUp(columns * HALF_BYTES, ROW_ALIGNMENT);

/** A slot that CONVERT fills and pads in one go, which zeroes the rest of the row with it: it comes first. */
export function padsWholeRow(slot: Slot): boolean {
  return slot.offset === 0 && slot.piece.source.kind === 'input' && slot.width > slot.piece.columns * HALF_BYTES;
}

export function compositeKey(mode: CompositeMode, layout: Layout, elements: number): string {
  return `${mode} ${elements} ${layout.rows} ${piecesKey(layout.pieces)}`;
}

/** Slots and size of a composite; `elements` of a feature matter in features mode only. */
export function makeComposite(id: number, mode: CompositeMode, layout: Layout, elements: number): Composite {
  const slots = slotsOf(mode, layout, elements);
  const end = Math.max(...slots.map((slot) => slot.offset + slot.width));
  const stride = mode === 'tight' ? end : roundUp(end, ROW_ALIGNMENT);
  return {
    mode,
    buffer: { id, rows: layout.rows, stride },
    slots,
    claimed: new Set(),
    needsZeroes: false,
    emitted: new Set(),
  };
}

function slotsOf(mode: CompositeMode, layout: Layout, elements: number): readonly Slot[] {
  if (mode === 'features') return featureSlots(layout, elements);
  const slots: Slot[] = [];
  let column = 0;
  for (const piece of layout.pieces) {
    const width = mode === 'tight' ? piece.columns * HALF_BYTES : paddedBytes(piece.columns);
    slots.push({ piece, column, offset: 0, width });
    column += piece.columns;
  }
  const ordered = mode === 'tight' ? slots : unalignedInputFirst(slots);
  let offset = 0;
  return ordered.map((slot) => {
    const placed = { ...slot, offset };
    offset += slot.width;
    return placed;
  });
}

function unalignedInputFirst(slots: readonly Slot[]): readonly Slot[] {
  const first = slots.find(padsWholeRow);
  return first === undefined ? slots : [first, ...slots.filter((slot) => slot !== first)];
}

function featureSlots(layout: Layout, elements: number): readonly Slot[] {
  const stride = paddedBytes(elements);
  const slots: Slot[] = [];
  if (stride === elements * HALF_BYTES) {
    let column = 0;
    for (const piece of layout.pieces) {
      const width = piece.columns * HALF_BYTES;
      slots.push({ piece, column, offset: column * HALF_BYTES, width });
      column += piece.columns;
    }
    return slots;
  }
  for (let start = 0, feature = 0; start < widthOf(layout); start += elements, feature++) {
    let column = start;
    for (const piece of columnRange(layout.pieces, start, start + elements)) {
      const offset = feature * stride + (column - start) * HALF_BYTES;
      const last = column + piece.columns === start + elements;
      const width = last ? (feature + 1) * stride - offset : piece.columns * HALF_BYTES;
      slots.push({ piece, column, offset, width });
      column += piece.columns;
    }
  }
  return slots;
}

/** Where the columns of the layout lie in a row of the composite. */
export function runsOf(composite: Composite): readonly ColumnRun[] {
  return composite.slots.map((slot) => ({
    source: slot.column,
    target: slot.offset / HALF_BYTES,
    count: slot.piece.columns,
  }));
}

/** Bytes that the producer of a slot would write into it; undefined where it cannot write there. */
function producerBytes(composite: Composite, slot: Slot): number | undefined {
  const { piece } = slot;
  const { source } = piece;
  if (isDense(source) || source.kind === 'input') return undefined;
  if (piece.offset !== 0 || piece.columns !== source.columns || source.rows !== composite.buffer.rows) return undefined;
  if (slot.offset % DMA_ALIGNMENT !== 0 || composite.buffer.stride % DMA_ALIGNMENT !== 0) return undefined;
  const exact = piece.columns * HALF_BYTES;
  if (source.kind === 'fully_connected') {
    // Weights of zero meet the padding of a matrix; elsewhere it must be zero itself, and a sigmoid's is not.
    const zeroPadding = source.activation === 'NONE' || source.activation === 'RELU';
    return composite.mode === 'matrix' || (composite.mode !== 'tight' && zeroPadding) ? slot.width : exact;
  }
  if (source.kind !== 'embedding_bag') return undefined;
  if (composite.mode === 'tight') return exact % DMA_ALIGNMENT === 0 ? exact : undefined;
  return slot.width;
}

export function placeOfSlot(composite: Composite, slot: Slot, written: number): Place {
  return { home: composite.buffer, offset: slot.offset, stride: composite.buffer.stride, written };
}

/** Homes of operations that a composite claims for itself, unless they have one. */
export function claimSlots(
  composite: Composite,
  homes: Map<Operation, Place>,
  isReserved: (o: Operation) => boolean,
): void {
  for (const slot of composite.slots) {
    const bytes = producerBytes(composite, slot);
    const { source } = slot.piece;
    if (bytes === undefined || source.kind === 'input' || homes.has(source) || isReserved(source)) continue;
    homes.set(source, placeOfSlot(composite, slot, bytes));
    composite.claimed.add(slot);
    if (bytes < slot.width) composite.needsZeroes = true;
  }
}
