/** Binds the symbolic dimensions of a model's inputs to numbers. */
import { shapeMismatch, unsupported } from '../errors.js';
import type { ModelGraph, ModelTensor } from '../ir/model-graph.js';

/** Kernels count rows in 32 bits. */
const LARGEST_DIMENSION = 2 ** 31 - 1;

/** Shapes by the name of the input, or in the order of the model's inputs. */
export type InputShapes = Readonly<Record<string, readonly number[]>> | readonly (readonly number[])[];

export interface BindingOptions {
  readonly inputShapes?: InputShapes;
  /** Bound to every symbolic dimension that `inputShapes` leaves open. */
  readonly batch?: number;
}

/** The shape of every input, in the order of the model's inputs. */
export function bindShapes(model: ModelGraph, options: BindingOptions): readonly (readonly number[])[] {
  const symbols = new Map<string, number>();
  const given = givenShapes(model, options.inputShapes);
  for (const [index, input] of model.inputs.entries()) matchShape(input, given[index], symbols);
  const shapes = model.inputs.map((input, index) => given[index] ?? resolveShape(input, symbols, options.batch));
  for (const [symbol, range] of model.ranges) {
    const value = symbols.get(symbol);
    if (value === undefined) continue;
    if (value < (range.minimum ?? 1) || value > (range.maximum ?? value)) {
      throw shapeMismatch(
        `dimension ${symbol} is ${value}, but the model was exported for ${range.minimum ?? 1}..${range.maximum ?? 'any'}`,
      );
    }
  }
  return shapes;
}

function givenShapes(model: ModelGraph, shapes: InputShapes | undefined): (readonly number[] | undefined)[] {
  if (shapes === undefined) return [];
  if (isList(shapes)) {
    if (shapes.length !== model.inputs.length) {
      throw shapeMismatch(`${shapes.length} input shapes are given, but the model has ${model.inputs.length} inputs`);
    }
    return [...shapes];
  }
  for (const name of Object.keys(shapes)) {
    if (!model.inputs.some((input) => input.name === name)) {
      const known = model.inputs.map((input) => input.name).join(', ');
      throw shapeMismatch(`inputShapes names "${name}", but the inputs of the model are ${known}`);
    }
  }
  return model.inputs.map((input) => (Object.hasOwn(shapes, input.name) ? shapes[input.name] : undefined));
}

function isList(shapes: InputShapes): shapes is readonly (readonly number[])[] {
  return Array.isArray(shapes);
}

/** Checks a given shape against the model's and learns symbols from it. */
function matchShape(input: ModelTensor, shape: readonly number[] | undefined, symbols: Map<string, number>): void {
  refuseEmpty(input);
  if (shape === undefined) return;
  for (const size of shape) checkSize(size, input.name);
  if (input.shape === undefined) return;
  if (shape.length !== input.shape.length) {
    throw shapeMismatch(`input "${input.name}" has shape [${input.shape}], got [${shape}]`);
  }
  for (const [axis, size] of shape.entries()) {
    const declared = input.shape[axis];
    if (typeof declared === 'string') {
      const bound = symbols.get(declared);
      if (bound !== undefined && bound !== size) {
        throw shapeMismatch(`input "${input.name}": dimension ${declared} is ${size} here and ${bound} elsewhere`);
      }
      symbols.set(declared, size);
    } else if (declared !== size) {
      throw shapeMismatch(`input "${input.name}" has shape [${input.shape}], got [${shape}]`);
    }
  }
}

function resolveShape(input: ModelTensor, symbols: Map<string, number>, batch: number | undefined): readonly number[] {
  if (input.shape === undefined) {
    throw shapeMismatch(`the model does not say the shape of input "${input.name}"; give it in inputShapes`);
  }
  return input.shape.map((dimension) => {
    if (typeof dimension === 'number') return checkSize(dimension, input.name);
    const bound = symbols.get(dimension) ?? batch;
    if (bound === undefined) {
      throw shapeMismatch(
        `dimension ${dimension} of input "${input.name}" is symbolic; give inputShapes or batch when compiling`,
      );
    }
    symbols.set(dimension, checkSize(bound, input.name));
    return bound;
  });
}

/** A model may say that an input has no elements; then it is the model that asks for what there is no kernel for. */
function refuseEmpty(input: ModelTensor): void {
  if (input.shape?.includes(0)) throw unsupported('empty input', input.name, `has shape [${input.shape}]`);
}

function checkSize(size: number, input: string): number {
  if (Number.isSafeInteger(size) && size >= 1 && size <= LARGEST_DIMENSION) return size;
  throw shapeMismatch(
    `input "${input}": a dimension of ${size} is not possible; dimensions are whole numbers from 1 to ${LARGEST_DIMENSION}`,
  );
}
