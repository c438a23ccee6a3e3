/** `mtia conformance` as scripts and build servers use it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mtia, temporaryFolder } from '../cli/mtia.js';
import { readJUnit, readTap } from './report-readers.js';

const QUICK = ['conformance', '--backend', 'null', '--category', 'queues', '--seed', '7'];

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => folder.remove());

function written(name: string, text: string): string {
  const path = join(folder.path, name);
  writeFileSync(path, text);
  return path;
}

describe('mtia conformance', () => {
  it('prints one JSON object with a result for each case', async () => {
    const { code, stdout } = await mtia([...QUICK, '--reporter', 'json']);
    expect(code).toBe(0);
    const report: unknown = JSON.parse(stdout);
    expect(report).toMatchObject({ seed: 7, failed: 0, expectedFailures: 0, cases: expect.any(Array) });
    expect(report).toMatchObject({
      cases: expect.arrayContaining([expect.objectContaining({ category: 'queues', status: 'pass', reason: null })]),
    });
  });

  it('prints TAP that a TAP parser takes', async () => {
    const { code, stdout } = await mtia([...QUICK, '--reporter', 'tap']);
    expect(code).toBe(0);
    const { ok, violations, results } = await readTap(stdout);
    expect([ok, violations]).toEqual([true, []]);
    expect(results.length).toBeGreaterThan(20);
  });

  it('prints JUnit XML that a build server takes', async () => {
    const { code, stdout } = await mtia([...QUICK, '--reporter', 'junit']);
    expect(code).toBe(0);
    const [suite, ...others] = await readJUnit(stdout);
    expect(others).toEqual([]);
    expect(suite).toMatchObject({ name: 'queues', failures: 0, tests: suite?.testcase?.length });
  });

  it('exits with 1 where a case fails, and runs a backend from a file', async () => {
    const file = written(
      'backend.mjs',
      `export const backend = {
        name: 'broken', generation: '2i', capabilities: new Set(['queues']),
        openCard: () => { throw new Error('no card in the slot'); },
      };`,
    );
    const { code, stdout } = await mtia(['conformance', '--backend', file, '--category', 'queues']);
    expect(code).toBe(1);
    expect(stdout).toContain('no card in the slot');
  });

  it("holds the example of a card of one's own to the contract", async () => {
    const options = ['--backend', 'dist/examples/card-under-test.js', '--category', 'discovery', 'kernel launch'];
    const { code, stdout } = await mtia(['conformance', ...options, '--strict', '--reporter', 'json']);
    expect(code).toBe(0);
    const report = JSON.parse(stdout) as { readonly passed: number };
    expect(report).toMatchObject({ backend: 'counting card', failed: 0, unexpectedPasses: 0 });
    expect(report.passed).toBeGreaterThan(20);
  });

  it('runs the cases that are named', async () => {
    const { code, stdout } = await mtia([
      ...QUICK.slice(0, 3),
      '--case',
      'queues: wraps around',
      '--reporter',
      'ndjson',
    ]);
    expect(code).toBe(0);
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { readonly type: string });
    expect(lines.map(({ type }) => type)).toEqual(['begin', 'start', 'result', 'start', 'result', 'end']);
  });

  it('fails where a figure is out of the tolerance, and says by how much', async () => {
    const file = written('strict.json', JSON.stringify({ 'command latency': { most: 0.001 } }));
    const options = ['--backend', 'null', '--category', 'performance', '--tolerance', file];
    const { code, stdout } = await mtia(['conformance', ...options]);
    expect(code).toBe(1);
    expect(stdout).toMatch(/command latency is \d+\.\d us, more than 0\.001/);
  });

  it('refuses a tolerance for what nothing measures', async () => {
    const file = written('misspelt.json', JSON.stringify({ 'comand latency': { most: 1 } }));
    const { code, stderr } = await mtia(['conformance', '--backend', 'null', '--tolerance', file]);
    expect(code).toBe(2);
    expect(stderr).toContain('"comand latency"');
  });

  it.each([
    [['--backend', 'nowhere.mjs'], 'nowhere.mjs: neither a file nor one of emulator, loopback'],
    [['--category', 'astrology'], 'astrology'],
    [['--case', 'the age of aquarius'], 'aquarius'],
    [['--mutants', 'the-fly'], 'the-fly'],
    [['--mutants', '--reporter', 'tap'], 'tap'],
    [['--tolerance', 'missing.json'], 'missing.json'],
    [['--tolerance', 'package.json'], 'package.json: at name: Invalid input: expected object'],
    [['--reporter', 'poem'], 'poem'],
    [['--firmware', 'missing.bundle'], 'missing.bundle'],
  ])('refuses %j in one sentence', async (options, named) => {
    const { code, stderr } = await mtia(['conformance', ...options]);
    expect(code).toBe(2);
    expect(stderr).toContain(named);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });
});
