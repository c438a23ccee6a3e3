/** A model as read from a file: inputs with visible symbolic dimensions, constants, nodes in execution order. */
import type { ElementType } from '../compiled-graph.js';
import type { ConstantTensor } from '../tensor.js';
import type { GraphNode } from './nodes.js';

/** Elements, or the name of a symbolic dimension that `compileModel` binds. */
export type Dimension = number | string;

/** An input or output of a model, whose dimensions may be symbols. */
export interface ModelTensor {
  readonly name: string;
  readonly type: ElementType;
  /** Undefined where the file does not say: then compileModel needs it in `inputShapes`. */
  readonly shape: readonly Dimension[] | undefined;
}

/** What a file says of a symbolic dimension. */
export interface DimensionRange {
  readonly minimum: number | undefined;
  readonly maximum: number | undefined;
}

/** A model as the compiler takes it from a file: nodes under ATen's names, constants, inputs and outputs. */
export interface ModelGraph {
  readonly name: string;
  readonly format: 'pt2' | 'onnx';
  readonly inputs: readonly ModelTensor[];
  readonly outputs: readonly ModelTensor[];
  readonly ranges: ReadonlyMap<string, DimensionRange>;
  readonly constants: ReadonlyMap<string, ConstantTensor>;
  readonly nodes: readonly GraphNode[];
}
