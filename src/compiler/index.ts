/** The graph compiler: model files in, compiled graphs out. */
export { type CompileOptions, type ComputeType, compileBatches, compileModel } from './compile-model.js';
export * from './compiled-graph.js';
export { type UnsupportedOperator, unsupportedOperatorOf } from './errors.js';
export type { Dimension, DimensionRange, ModelGraph, ModelTensor } from './ir/model-graph.js';
export type { GraphNode } from './ir/nodes.js';
export type { InputShapes } from './lowering/bind-shapes.js';
export { parseModel, type ReadModelOptions, readModel } from './model-file.js';
export { decodeCompiledGraph, encodeCompiledGraph, isCompiledGraph } from './mtg-file.js';
export {
  type OnnxTensor,
  readTensorProto,
  writeTensorProto,
} from './onnx/tensor-proto.js';
export { type OnnxModel, type OnnxNode, type OnnxTensorInfo, writeOnnxModel } from './onnx/write-onnx.js';
export type { ConstantTensor } from './tensor.js';
