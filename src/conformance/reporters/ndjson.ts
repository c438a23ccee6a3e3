/** One JSON object a line, as it happens: for programs that watch a run, or want what a run that broke off has found. */
import type { Reporter } from './reporter.js';

const line = (type: string, value: object): string => `${JSON.stringify({ type, ...value })}\n`;

/** Lines of type `begin`, then `start` and `result` for each case, then `end`. */
export function ndjsonReporter(): Reporter {
  return {
    begin: (header) => line('begin', header),
    start: ({ category, name, contract }) => line('start', { category, name, contract }),
    result: (result) => line('result', result),
    end: (_results, summary) => line('end', summary),
  };
}
