/**
 * What the compiler produces and the runtime loads: the jobs of a model for one generation of the chip, its packed weights,
 * and where inputs and outputs lie. `.mtg` files hold exactly this (mtg-file.ts).
 */
import type { Generation } from '../hw/index.js';

/** Element types of tensors at the edge of a model. */
export type ElementType = 'float32' | 'float16' | 'bfloat16' | 'int64' | 'int32' | 'int8' | 'uint8' | 'bool';

/** Bytes of one element of each type. */
export const ELEMENT_BYTES: Readonly<Record<ElementType, number>> = {
  float32: 4,
  float16: 2,
  bfloat16: 2,
  int64: 8,
  int32: 4,
  int8: 1,
  uint8: 1,
  bool: 1,
};

/** An input or output of a compiled graph: row-major and without gaps, at `offset` of its segment. */
export interface GraphTensor {
  /** As the model calls it. */
  readonly name: string;
  /** Type of each element in memory, little-endian. */
  readonly type: ElementType;
  /** Symbolic dimensions are bound: every entry is a number of elements. */
  readonly shape: readonly number[];
  /** Bytes from the start of the inputs or outputs segment, a multiple of 64. */
  readonly offset: number;
  /** Elements times ELEMENT_BYTES of the type. */
  readonly bytes: number;
}

/** Segments in the order in which GRAPH_LAUNCH binds their bases: segment number n of mtia_graph_job is entry n - 1. */
export const SEGMENT_KINDS = ['weights', 'workspace', 'inputs', 'outputs'] as const;
/** One of SEGMENT_KINDS. */
export type SegmentKind = (typeof SEGMENT_KINDS)[number];

/** Memory that a graph needs: how much, and where it is best placed. */
export interface GraphSegment {
  /** 0 where the graph has no such memory. */
  readonly bytes: number;
  /** Where the segment is best placed; the runtime may fall back to LPDDR. */
  readonly memory: 'lpddr' | 'sram';
}

/** One job, for people: what the firmware reads is in `image`. */
export interface JobSummary {
  /** Name in KERNEL_ID. */
  readonly kernel: string;
  /** Nodes of the model that the job computes. */
  readonly nodes: readonly string[];
  /** "m 3200, n 64, k 64". */
  readonly shape: string;
}

/** A model compiled for one generation of the chip: what `.mtg` files hold and Device.loadModel takes. */
export interface CompiledGraph {
  /** Of the model: "dlrm". */
  readonly name: string;
  /** Chip that the jobs are made for; any other refuses the graph with FIRMWARE_MISMATCH. */
  readonly generation: Generation;
  /** PROTOCOL_VERSION of the compiler; a firmware of another version is a FIRMWARE_MISMATCH. */
  readonly protocolVersion: number;
  /** Type in which matrices are multiplied. */
  readonly computeType: 'bf16' | 'fp16' | 'int8';
  /** In the order of the model. */
  readonly inputs: readonly GraphTensor[];
  /** In the order of the model. */
  readonly outputs: readonly GraphTensor[];
  /** Memory that a run needs. */
  readonly segments: Readonly<Record<SegmentKind, GraphSegment>>;
  /** Contents of the weights segment. */
  readonly weights: Uint8Array;
  /** mtia_graph_header and mtia_graph_job records, as the firmware walks them. */
  readonly image: Uint8Array;
  /** In the order in which they start. */
  readonly jobs: readonly JobSummary[];
}
