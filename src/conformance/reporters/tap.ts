/** Test Anything Protocol, version 14. */
import type { CaseResult } from '../runner.js';
import { type Reporter, summaryLine } from './reporter.js';

const escapeTitle = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('#', '\\#');
const oneLine = (text: string): string => text.replaceAll(/\s+/g, ' ');

function directive({ status, reason }: CaseResult): string {
  if (status === 'unsupported') return ` # SKIP ${oneLine(reason ?? '')}`;
  if (status === 'expected-fail' || status === 'unexpected-pass') return ` # TODO ${oneLine(reason ?? '')}`;
  return '';
}

export function tapReporter(): Reporter {
  let number = 0;
  return {
    begin: ({ cases, seed }) => `TAP version 14\n1..${cases}\n# seed ${seed}\n`,
    result: (result) => {
      number += 1;
      const ok = result.status === 'fail' || result.status === 'expected-fail' ? 'not ok' : 'ok';
      const title = escapeTitle(`${result.category}: ${result.name} (${result.contract})`);
      const detail = result.status === 'fail' ? `  ---\n  message: ${JSON.stringify(result.reason)}\n  ...\n` : '';
      return `${ok} ${number} - ${title}${directive(result)}\n${detail}`;
    },
    end: (_results, summary) => `# ${summaryLine(summary)}\n`,
  };
}
