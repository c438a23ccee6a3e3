/** A small encoder of ONNX models, for benchmarks and tests that make their own model. */
import type { ElementType } from '../compiled-graph.js';
import type { Dimension } from '../ir/model-graph.js';
import { ATTRIBUTE_TYPE, type AttributeMessage, encodeModelMessage, type Partially } from './messages.js';
import { type OnnxTensor, onnxTypeNumber, tensorMessageOf } from './tensor-proto.js';

/** Name, type and shape of an input or output of it. */
export interface OnnxTensorInfo {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly Dimension[];
}

/** One operator of it, under ONNX's names. */
export interface OnnxNode {
  readonly operator: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly name?: string;
  /** Integers are INT or INTS attributes; `{ float: x }` is a FLOAT one. */
  readonly attributes?: Readonly<Record<string, number | readonly number[] | { readonly float: number }>>;
}

/** A model to be written as an ONNX file. */
export interface OnnxModel {
  readonly name: string;
  readonly inputs: readonly OnnxTensorInfo[];
  readonly outputs: readonly OnnxTensorInfo[];
  readonly initializers: readonly OnnxTensor[];
  readonly nodes: readonly OnnxNode[];
  /** Version of the default operator set; 20 where absent. */
  readonly opset?: number;
}

const IR_VERSION = 10;
const DEFAULT_OPSET = 20;

/**
 * Serializes a model. Weights are written as raw data.
 *
 * @example
 * const bytes = writeOnnxModel({ name: 'mlp', inputs, outputs, initializers,
 *   nodes: [{ operator: 'Gemm', inputs: ['x', 'w', 'b'], outputs: ['y'], attributes: { transB: 1 } }] });
 */
export function writeOnnxModel(model: OnnxModel): Uint8Array {
  return encodeModelMessage({
    irVersion: IR_VERSION,
    opsetImport: [{ domain: '', version: model.opset ?? DEFAULT_OPSET }],
    producerName: 'mtia-runtime',
    graph: {
      name: model.name,
      node: model.nodes.map((node, index) => ({
        opType: node.operator,
        name: node.name ?? `${node.operator}_${index}`,
        input: node.inputs,
        output: node.outputs,
        attribute: Object.entries(node.attributes ?? {}).map(([name, value]) => attributeOf(name, value)),
      })),
      initializer: model.initializers.map(tensorMessageOf),
      input: model.inputs.map(valueInfoOf),
      output: model.outputs.map(valueInfoOf),
    },
  });
}

function attributeOf(
  name: string,
  value: number | readonly number[] | { readonly float: number },
): Partially<AttributeMessage> {
  if (typeof value === 'number') return { name, type: ATTRIBUTE_TYPE.INT, i: value };
  if ('float' in value) return { name, type: ATTRIBUTE_TYPE.FLOAT, f: value.float };
  return { name, type: ATTRIBUTE_TYPE.INTS, ints: value };
}

function valueInfoOf(tensor: OnnxTensorInfo) {
  const dim = tensor.shape.map((size) => (typeof size === 'number' ? { dimValue: size } : { dimParam: size }));
  return { name: tensor.name, type: { tensorType: { elemType: onnxTypeNumber(tensor.type), shape: { dim } } } };
}
