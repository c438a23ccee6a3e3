/** ONNX files → graph. Weights stay where the file has them. */
import { ELEMENT_BYTES, type ElementType } from '../compiled-graph.js';
import { invalidModel, unsupported, unsupportedOperatorOf } from '../errors.js';
import type { Dimension, ModelGraph, ModelTensor } from '../ir/model-graph.js';
import type { GraphNode } from '../ir/nodes.js';
import { type ConstantTensor, denseConstant, integerConstant } from '../tensor.js';
import { OnnxNodeReader } from './attributes.js';
import {
  DATA_LOCATION_EXTERNAL,
  decodeModelMessage,
  type GraphMessage,
  type ModelMessage,
  toNumber,
  type ValueInfoMessage,
} from './messages.js';
import { importOnnxNode } from './operators.js';
import { constantOfMessage, type ExternalData, ONNX_TYPES, unreadType } from './tensor-proto.js';

/** Reads the message and checks that it is a model at all: protobuf accepts many a byte sequence. */
export function readOnnxMessage(bytes: Uint8Array): ModelMessage & { readonly graph: GraphMessage } {
  const model = decodeModelMessage(bytes);
  if (model.graph === null) throw invalidModel('ONNX ModelProto', 'has no graph');
  if (toNumber(model.irVersion) < 1) throw invalidModel('ONNX ModelProto', 'has no ir_version');
  return { ...model, graph: model.graph };
}

/** Files beside the model in which it keeps tensors. */
export function externalLocations(graph: GraphMessage): ReadonlySet<string> {
  const locations = new Set<string>();
  for (const tensor of graph.initializer) {
    if (tensor.dataLocation !== DATA_LOCATION_EXTERNAL) continue;
    for (const entry of tensor.externalData) if (entry.key === 'location') locations.add(entry.value);
  }
  return locations;
}

/** The graph of a decoded model; `external` gives the bytes of tensors outside the file. */
export function importOnnx(graph: GraphMessage, name: string, external: ExternalData): ModelGraph {
  if (graph.sparseInitializer.length > 0) throw unsupported('sparse_initializer', graph.name, 'tensors must be dense');
  const constants = new Map<string, ConstantTensor>();
  for (const tensor of graph.initializer) {
    constants.set(tensor.name, constantOfMessage(tensor, `initializer "${tensor.name}"`, external));
  }
  const nodes: GraphNode[] = [];
  for (const [index, message] of graph.node.entries()) {
    const node = new OnnxNodeReader(message, index);
    if (node.operator === 'Constant') constants.set(node.outputs[0] ?? '', constantOfNode(node, external));
    else nodes.push(importOnnxNode(node));
  }
  return Object.freeze({
    name,
    format: 'onnx' as const,
    ...edgesOf(graph, constants, nodes),
    ranges: new Map(),
    constants,
    nodes,
  });
}

/** Inputs and outputs. Where one has a type that is not supported, the operator that brought it in says more. */
function edgesOf(
  graph: GraphMessage,
  constants: ReadonlyMap<string, ConstantTensor>,
  nodes: readonly GraphNode[],
): Pick<ModelGraph, 'inputs' | 'outputs'> {
  try {
    return {
      // Before IR version 4 initializers are listed among the inputs as well.
      inputs: graph.input.filter((input) => !constants.has(input.name)).map((input) => edgeTensor(input, 'input')),
      outputs: graph.output.map((output) => edgeTensor(output, 'output')),
    };
  } catch (error) {
    const node = nodes.find((candidate) => candidate.kind === 'unsupported');
    if (node === undefined || unsupportedOperatorOf(error) === undefined) throw error;
    throw unsupported(node.operator, node.name, node.reason);
  }
}

function constantOfNode(node: OnnxNodeReader, external: ExternalData): ConstantTensor {
  const part = `node "${node.name}" (Constant)`;
  const tensor = node.tensor('value');
  if (tensor !== undefined) return constantOfMessage(tensor, part, external);
  const integers = node.integers('value_ints');
  if (integers !== undefined) return integerConstant(integers);
  if (node.has('value_int')) return integerConstant([node.integer('value_int', 0)], []);
  const floats = node.has('value_float') ? [node.float('value_float', 0)] : node.floats('value_floats');
  if (floats === undefined) throw invalidModel(part, 'has no value that is read');
  const bytes = new Uint8Array(Float32Array.from(floats).buffer);
  return denseConstant('float32', node.has('value_float') ? [] : [floats.length], bytes);
}

function edgeTensor(info: ValueInfoMessage, what: 'input' | 'output'): ModelTensor {
  const part = `${what} "${info.name}"`;
  const tensor = info.type?.tensorType;
  if (tensor == null) throw unsupported(`non-tensor ${what}`, info.name, 'is not a tensor');
  const type = ONNX_TYPES[tensor.elemType];
  if (type === undefined || !Object.hasOwn(ELEMENT_BYTES, type)) throw unreadType(tensor.elemType, part);
  const shape = tensor.shape?.dim.map((dimension, axis): Dimension => {
    if (dimension.dimParam != null && dimension.dimParam !== '') return dimension.dimParam;
    if (dimension.dimValue == null) return `${info.name}.${axis}`;
    const size = toNumber(dimension.dimValue);
    if (size < 0) throw invalidModel(part, `dimension ${axis} is ${size}`);
    return size;
  });
  return Object.freeze({ name: info.name, type: type as ElementType, shape });
}
