/** JUnit XML, as build servers read it: a suite for each category. */
import type { CaseResult } from '../runner.js';
import type { Reporter } from './reporter.js';

const ENTITY: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
// Characters that XML 1.0 cannot hold at all are dropped.
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones
const UNREPRESENTABLE = /[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g;

function escapeXml(text: string): string {
  return text.replaceAll(UNREPRESENTABLE, '').replaceAll(/[&<>"]/g, (character) => ENTITY[character] ?? character);
}

function body(result: CaseResult): string {
  const reason = escapeXml(result.reason ?? '');
  if (result.status === 'pass') return '/>';
  if (result.status === 'fail' || result.status === 'unexpected-pass')
    return `><failure message="${reason}"/></testcase>`;
  return `><skipped message="${reason}"/></testcase>`;
}

function testCase(result: CaseResult): string {
  const seconds = (result.wallMs / 1000).toFixed(3);
  const name = escapeXml(`${result.contract} ${result.name}`);
  return `    <testcase classname="${escapeXml(result.category)}" name="${name}" time="${seconds}"${body(result)}`;
}

function suite(category: string, results: readonly CaseResult[]): string {
  const count = (...statuses: string[]): number => results.filter(({ status }) => statuses.includes(status)).length;
  const failures = count('fail', 'unexpected-pass');
  const skipped = count('unsupported', 'expected-fail');
  const attributes = `name="${escapeXml(category)}" tests="${results.length}" failures="${failures}" skipped="${skipped}"`;
  return [`  <testsuite ${attributes}>`, ...results.map(testCase), '  </testsuite>'].join('\n');
}

export function junitReporter(): Reporter {
  return {
    begin: () => '',
    result: () => '',
    end: (results) => {
      const categories = [...new Set(results.map((result) => result.category))];
      const suites = categories.map((name) =>
        suite(
          name,
          results.filter((result) => result.category === name),
        ),
      );
      return ['<?xml version="1.0" encoding="UTF-8"?>', '<testsuites>', ...suites, '</testsuites>', ''].join('\n');
    },
  };
}
