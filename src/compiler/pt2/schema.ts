/** The parts of torch.export's JSON (schema_version.major 8) that the compiler reads. Unknown keys are ignored. */
import { z } from 'zod';

export const SCHEMA_MAJOR = 8;

/** Not z.int(): torch writes 2^63 - 1 for "to the end", which is no safe integer. */
const integer = z.number().refine(Number.isInteger, 'not an integer');

const symInt = z.union([
  z.object({ as_int: integer }),
  z.object({ as_expr: z.object({ expr_str: z.string() }) }),
  z.object({ as_name: z.string() }),
]);

const tensorName = z.object({ name: z.string() });

/** A one-key union; kinds that no supported operator takes stay opaque. */
const argumentSchema = z.record(z.string(), z.unknown());
export type Argument = z.infer<typeof argumentSchema>;

export const ARGUMENT_SHAPES = {
  as_tensor: tensorName,
  as_tensors: z.array(tensorName),
  as_optional_tensors: z.array(z.record(z.string(), z.unknown())),
  as_optional_tensor: z.record(z.string(), z.unknown()),
  as_int: integer,
  as_ints: z.array(integer),
  as_float: z.union([z.number(), z.string()]),
  as_bool: z.boolean(),
  as_string: z.string(),
  as_scalar_type: integer,
  as_sym_int: symInt,
  as_sym_ints: z.array(symInt),
} as const;

const tensorMetaSchema = z.object({
  dtype: integer,
  sizes: z.array(symInt),
  strides: z.array(symInt),
  storage_offset: symInt,
});
export type TensorMeta = z.infer<typeof tensorMetaSchema>;
export type SymInt = z.infer<typeof symInt>;

const nodeSchema = z.object({
  target: z.string(),
  name: z.string().optional().nullable(),
  inputs: z.array(z.object({ name: z.string(), arg: argumentSchema })),
  outputs: z.array(argumentSchema),
});
export type ExportedNode = z.infer<typeof nodeSchema>;

const specSchema = z.record(z.string(), z.unknown());

export const exportedProgramSchema = z.object({
  schema_version: z.object({ major: integer, minor: integer }),
  range_constraints: z.record(z.string(), z.object({ min_val: z.unknown(), max_val: z.unknown() })).optional(),
  graph_module: z.object({
    graph: z.object({
      inputs: z.array(argumentSchema),
      outputs: z.array(argumentSchema),
      nodes: z.array(nodeSchema),
      tensor_values: z.record(z.string(), tensorMetaSchema),
    }),
    signature: z.object({ input_specs: z.array(specSchema), output_specs: z.array(specSchema) }),
  }),
});
export type ExportedProgram = z.infer<typeof exportedProgramSchema>;

/** What an input specification may say; other kinds of input are refused by name. */
export const INPUT_SPECS = {
  parameter: z.object({ arg: tensorName, parameter_name: z.string() }),
  buffer: z.object({ arg: tensorName, buffer_name: z.string() }),
  tensor_constant: z.object({ arg: tensorName, tensor_constant_name: z.string() }),
  user_input: z.object({ arg: argumentSchema }),
} as const;

export const userOutputSchema = z.object({ arg: argumentSchema });

export const payloadConfigSchema = z.object({
  config: z.record(
    z.string(),
    z.object({ path_name: z.string(), use_pickle: z.boolean(), tensor_meta: tensorMetaSchema.nullish() }),
  ),
});

/** torch's numbering of element types, as far as models on this chip need it. */
export const SCALAR_TYPES = {
  1: 'uint8',
  2: 'int8',
  3: 'int16',
  4: 'int32',
  5: 'int64',
  6: 'float16',
  7: 'float32',
  8: 'float64',
  12: 'bool',
  13: 'bfloat16',
} as const;

/** Checks `value`; the error names the member and the field. */
export function parseMember<S extends z.ZodType>(
  schema: S,
  value: unknown,
  fail: (problem: string) => Error,
): z.infer<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw fail(
    issue === undefined ? 'malformed' : `field ${issue.path.map(String).join('.') || '(root)'}: ${issue.message}`,
  );
}
