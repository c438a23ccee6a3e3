/** One JSON object; its shape is part of the command line's contract. */
import type { Reporter, RunHeader } from './reporter.js';

export function jsonReporter(): Reporter {
  let header: RunHeader | undefined;
  return {
    begin: (given) => {
      header = given;
      return '';
    },
    result: () => '',
    end: (results, summary) => {
      const { passed, failed, unsupported, expectedFailures, unexpectedPasses } = summary;
      const report = {
        backend: header?.backend,
        firmware: header?.firmware,
        seed: header?.seed,
        cases: results,
        passed,
        failed,
        unsupported,
        expectedFailures,
        unexpectedPasses,
      };
      return `${JSON.stringify(report, null, 2)}\n`;
    },
  };
}
