/** Reporters by the names that the command line knows. */
import { jsonReporter } from './json.js';
import { junitReporter } from './junit.js';
import { ndjsonReporter } from './ndjson.js';
import { prettyReporter } from './pretty.js';
import type { Reporter } from './reporter.js';
import { tapReporter } from './tap.js';

export type { Reporter, RunHeader } from './reporter.js';

/** Forms in which results are written, by name. */
export const REPORTERS = {
  pretty: () => prettyReporter(false),
  verbose: () => prettyReporter(true),
  tap: tapReporter,
  junit: junitReporter,
  json: jsonReporter,
  ndjson: ndjsonReporter,
} as const satisfies Readonly<Record<string, () => Reporter>>;

/** One of REPORTERS. */
export type ReporterName = keyof typeof REPORTERS;
