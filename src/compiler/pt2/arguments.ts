/**
 * Arguments of an exported node by name. torch leaves out arguments that equal the default of the operator's schema, so
 * every accessor takes that default.
 */
import { invalidModel } from '../errors.js';
import type { IntegerList, IntegerOperand } from '../ir/nodes.js';
import { ARGUMENT_SHAPES, type Argument, type ExportedNode, parseMember, type SymInt } from './schema.js';

type ShapeName = keyof typeof ARGUMENT_SHAPES;

const KIND_NAMES: ReadonlySet<string> = new Set(Object.keys(ARGUMENT_SHAPES));

export class NodeArguments {
  readonly name: string;
  readonly target: string;
  readonly #arguments: ReadonlyMap<string, Argument>;

  constructor(node: ExportedNode, index: number) {
    this.name = node.name ?? `node ${index}`;
    this.target = node.target;
    this.#arguments = new Map(node.inputs.map((input) => [input.name, input.arg]));
  }

  #fail(argument: string, problem: string): Error {
    return invalidModel(`node "${this.name}" (${this.target}), argument "${argument}"`, problem);
  }

  /** The one key of an argument and its checked value; undefined where it is absent or None. */
  #read(argument: string): { readonly kind: ShapeName; readonly value: unknown } | undefined {
    const union = this.#arguments.get(argument);
    if (union === undefined) return undefined;
    const kind = Object.keys(union)[0];
    if (kind === undefined || kind === 'as_none') return undefined;
    if (!KIND_NAMES.has(kind)) throw this.#fail(argument, `has kind ${kind}, which no supported operator takes`);
    const shape = kind as ShapeName;
    const value = parseMember(ARGUMENT_SHAPES[shape], union[shape], (problem) => this.#fail(argument, problem));
    return { kind: shape, value };
  }

  has(argument: string): boolean {
    return this.#read(argument) !== undefined;
  }

  optionalTensor(argument: string): string | undefined {
    const found = this.#read(argument);
    if (found === undefined) return undefined;
    const value = found.value as { readonly name?: string; readonly as_tensor?: { readonly name: string } };
    if (found.kind === 'as_tensor') return value.name;
    if (found.kind === 'as_optional_tensor') return value.as_tensor?.name;
    throw this.#fail(argument, `is ${found.kind}, not a tensor`);
  }

  tensor(argument: string): string {
    const name = this.optionalTensor(argument);
    if (name === undefined) throw this.#fail(argument, 'is missing');
    return name;
  }

  tensors(argument: string): readonly string[] {
    const found = this.#read(argument);
    if (found?.kind !== 'as_tensors') throw this.#fail(argument, 'is not a list of tensors');
    return (found.value as readonly { readonly name: string }[]).map((tensor) => tensor.name);
  }

  optionalTensors(argument: string): readonly (string | null)[] {
    const found = this.#read(argument);
    if (found?.kind === 'as_tensors') return this.tensors(argument);
    if (found?.kind !== 'as_optional_tensors') throw this.#fail(argument, 'is not a list of tensors');
    return (found.value as readonly Readonly<Record<string, unknown>>[]).map((entry) => {
      if (!('as_tensor' in entry)) return null;
      return parseMember(ARGUMENT_SHAPES.as_tensor, entry.as_tensor, (p) => this.#fail(argument, p)).name;
    });
  }

  #number(argument: string): IntegerOperand | undefined {
    const found = this.#read(argument);
    if (found === undefined) return undefined;
    if (found.kind === 'as_int') return found.value as number;
    if (found.kind === 'as_sym_int') return this.#symbolic(argument, found.value as SymInt);
    throw this.#fail(argument, `is ${found.kind}, not an integer`);
  }

  #symbolic(argument: string, value: SymInt): IntegerOperand {
    if ('as_int' in value) return value.as_int;
    if ('as_name' in value) return value.as_name;
    throw this.#fail(argument, `is the expression ${value.as_expr.expr_str}, not a name`);
  }

  /** An integer that may be the name of a symbolic one. */
  integerOperand(argument: string, otherwise?: number): IntegerOperand {
    const value = this.#number(argument) ?? otherwise;
    if (value === undefined) throw this.#fail(argument, 'is missing');
    return value;
  }

  integer(argument: string, otherwise?: number): number {
    const value = this.integerOperand(argument, otherwise);
    if (typeof value !== 'number') throw this.#fail(argument, 'is symbolic where a number is needed');
    return value;
  }

  optionalInteger(argument: string): number | undefined {
    return this.has(argument) ? this.integer(argument) : undefined;
  }

  integers(argument: string): IntegerList | undefined {
    const found = this.#read(argument);
    if (found === undefined) return undefined;
    if (found.kind === 'as_ints') return found.value as readonly number[];
    if (found.kind === 'as_int') return [found.value as number];
    if (found.kind === 'as_sym_ints') {
      return (found.value as readonly SymInt[]).map((value) => this.#symbolic(argument, value));
    }
    throw this.#fail(argument, `is ${found.kind}, not a list of integers`);
  }

  float(argument: string, otherwise: number): number {
    const found = this.#read(argument);
    if (found === undefined) return otherwise;
    if (found.kind === 'as_int' || (found.kind === 'as_float' && typeof found.value === 'number')) {
      return found.value as number;
    }
    throw this.#fail(argument, 'is not a finite number');
  }

  boolean(argument: string, otherwise: boolean): boolean {
    const found = this.#read(argument);
    if (found === undefined) return otherwise;
    if (found.kind !== 'as_bool') throw this.#fail(argument, 'is not a boolean');
    return found.value as boolean;
  }
}
