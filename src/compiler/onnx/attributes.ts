/** Attributes and optional inputs of an ONNX node, checked as they are read. */
import { invalidModel } from '../errors.js';
import { ATTRIBUTE_TYPE, type AttributeMessage, type NodeMessage, type TensorMessage, toNumber } from './messages.js';

export class OnnxNodeReader {
  readonly name: string;
  readonly operator: string;
  readonly #node: NodeMessage;
  readonly #attributes: ReadonlyMap<string, AttributeMessage>;

  constructor(node: NodeMessage, index: number) {
    this.name = node.name === '' ? `${node.opType}_${index}` : node.name;
    this.operator = node.domain === '' || node.domain === 'ai.onnx' ? node.opType : `${node.domain}::${node.opType}`;
    this.#node = node;
    this.#attributes = new Map(node.attribute.map((attribute) => [attribute.name, attribute]));
  }

  get outputs(): readonly string[] {
    return this.#node.output;
  }

  /** Names of all inputs that are present. */
  get inputs(): readonly string[] {
    return this.#node.input.filter((name) => name !== '');
  }

  optionalInput(index: number): string | undefined {
    const name = this.#node.input[index];
    return name === undefined || name === '' ? undefined : name;
  }

  input(index: number): string {
    const name = this.optionalInput(index);
    if (name === undefined) throw invalidModel(this.#part(), `input ${index} is missing`);
    return name;
  }

  #part(attribute?: string): string {
    const where = attribute === undefined ? '' : `, attribute "${attribute}"`;
    return `node "${this.name}" (${this.operator})${where}`;
  }

  #attribute(name: string, type: number): AttributeMessage | undefined {
    const attribute = this.#attributes.get(name);
    if (attribute !== undefined && attribute.type !== type) {
      throw invalidModel(this.#part(name), `has type ${attribute.type} where ${type} is expected`);
    }
    return attribute;
  }

  has(name: string): boolean {
    return this.#attributes.has(name);
  }

  optionalInteger(name: string): number | undefined {
    const attribute = this.#attribute(name, ATTRIBUTE_TYPE.INT);
    return attribute === undefined ? undefined : toNumber(attribute.i);
  }

  integer(name: string, otherwise: number): number {
    return this.optionalInteger(name) ?? otherwise;
  }

  float(name: string, otherwise: number): number {
    return this.#attribute(name, ATTRIBUTE_TYPE.FLOAT)?.f ?? otherwise;
  }

  floats(name: string): readonly number[] | undefined {
    return this.#attribute(name, ATTRIBUTE_TYPE.FLOATS)?.floats;
  }

  integers(name: string): readonly number[] | undefined {
    return this.#attribute(name, ATTRIBUTE_TYPE.INTS)?.ints.map(toNumber);
  }

  tensor(name: string): TensorMessage | undefined {
    return this.#attribute(name, ATTRIBUTE_TYPE.TENSOR)?.t ?? undefined;
  }
}
