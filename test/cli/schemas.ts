/** The JSON that scripts rely on, as the design fixes it. */
import { z } from 'zod';

const figure = z.object({ value: z.number(), unit: z.string(), source: z.string().min(1) });

export const infoSchema = z.object({
  name: z.string(),
  generation: z.enum(['v1', '2i']),
  figures: z.record(z.string(), figure),
  published: z.array(z.object({ name: z.string(), value: z.string().min(1), source: z.string().min(1) })).min(20),
});

const tensor = z.object({ name: z.string(), type: z.string(), shape: z.array(z.int().min(1)) });

export const runSchema = z.object({
  model: z.string(),
  device: z.enum(['v1', '2i']),
  computeType: z.enum(['bf16', 'fp16', 'int8']),
  inputs: z.string(),
  outputs: z.array(tensor.extend({ firstValues: z.array(z.number()) })).min(1),
  digest: z.string().regex(/^[0-9a-f]{64}$/),
  wallMs: z.number().positive(),
  deviceUs: z.number().positive(),
  graphUs: z.number().positive(),
  jobs: z.int().positive(),
});

export const compileSchema = z.object({
  model: z.string(),
  output: z.string(),
  device: z.enum(['v1', '2i']),
  computeType: z.enum(['bf16', 'fp16', 'int8']),
  bytes: z.int().positive(),
  compileMs: z.number().positive(),
  inputs: z.array(tensor),
  outputs: z.array(tensor),
  segments: z.record(z.string(), z.int().min(0)),
  jobs: z.array(z.object({ kernel: z.string(), nodes: z.array(z.string()), shape: z.string() })).min(1),
});

const verifiedCase = z.object({
  dir: z.string(),
  status: z.enum(['pass', 'fail', 'unsupported']),
  reason: z.string().nullable(),
  maxAbsError: z.number().min(0).nullable(),
  maxRelError: z.number().min(0).nullable(),
  digest: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .nullable(),
  wallMs: z.number().positive().nullable(),
  deviceUs: z.number().positive().nullable(),
});

const count = z.int().min(0);

export const verifySchema = z.object({
  cases: z.array(verifiedCase),
  passed: count,
  failed: count,
  unsupported: count,
});

export const benchSchema = z.object({
  machine: z.object({
    cpu: z.string(),
    cores: z.int().positive(),
    node: z.string(),
    threads: z.int().positive(),
    matmulPath: z.string(),
    loadAverage: z.number(),
  }),
  results: z.array(
    z.object({
      name: z.string(),
      value: z.number().nullable(),
      unit: z.string(),
      baseline: z.number().nullable(),
      baselineName: z.string().nullable(),
      ratio: z.number().nullable(),
      bar: z.string().nullable(),
      meetsBar: z.boolean().nullable(),
    }),
  ),
});
