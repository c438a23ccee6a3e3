/** Reads reports with parsers that are not ours: what build servers would see. */
import { parse as parseJUnit, type TestSuite } from 'junit2json';
import { Parser, type Result } from 'tap-parser';

export interface TapReport {
  readonly ok: boolean;
  /** Where it breaks the protocol. */
  readonly violations: readonly string[];
  readonly results: readonly Result[];
}

/** In strict mode: whatever is not TAP is a violation. */
export function readTap(text: string): Promise<TapReport> {
  return new Promise((resolve) => {
    const results: Result[] = [];
    const parser = new Parser({ strict: true }, ({ ok, failures }) => {
      const violations = failures.flatMap((failure) =>
        failure.tapError === null ? [] : [`${failure.tapError}: ${'name' in failure ? String(failure.name) : ''}`],
      );
      resolve({ ok, violations, results });
    });
    parser.on('assert', (result: Result) => results.push(result));
    parser.end(text);
  });
}

/** Throws where it is not well-formed. */
export async function readJUnit(text: string): Promise<readonly TestSuite[]> {
  const report = await parseJUnit(text);
  if (report === null || report === undefined || !('testsuite' in report)) throw new Error('no test suites');
  return report.testsuite ?? [];
}
