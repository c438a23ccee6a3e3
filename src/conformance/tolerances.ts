/** Limits for what performance cases measure, from a JSON file: `{ "command latency": { "most": 200 } }`. */
import { z } from 'zod';

const TOLERANCES = z.record(z.string(), z.strictObject({ least: z.number().optional(), most: z.number().optional() }));
/** Limits of what performance cases measure, by name of the measurement. */
export type Tolerances = z.infer<typeof TOLERANCES>;

/** A figure that a case has measured. */
export interface Measurement {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
}

/** Throws where the text is no JSON or has other fields. */
export function readTolerances(text: string): Tolerances {
  const { data, error } = TOLERANCES.safeParse(JSON.parse(text));
  if (data !== undefined) return data;
  const { path = [], message = '' } = error.issues[0] ?? {};
  throw new Error(`at ${path.join('.') || 'its top'}: ${message}; write { "NAME": { "least": 1, "most": 2 } }`);
}

/** Why the measurement is out of bounds; undefined where it is within, or where nothing is said of it. */
export function outOfTolerance({ name, value, unit }: Measurement, tolerances: Tolerances): string | undefined {
  const { least, most } = tolerances[name] ?? {};
  if (least !== undefined && value < least) return `${name} is ${value.toFixed(1)} ${unit}, less than ${least}`;
  if (most !== undefined && value > most) return `${name} is ${value.toFixed(1)} ${unit}, more than ${most}`;
  return undefined;
}
