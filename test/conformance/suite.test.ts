/** The suite itself: complete, repeatable and able to fail. That what ships passes it is promised by suite-on-*.test.ts. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  CASES,
  category,
  conformanceCase,
  nullBackend,
  runConformance,
  unsupported,
  withTestKernels,
} from '../../src/conformance/index.js';
import { loadBundle } from '../../src/firmware-emu/index.js';

const FIRMWARE = withTestKernels(loadBundle());
const SEED = 20_261_124;

const contract = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'driver-contract.md'), 'utf8');
const paragraphs = [...contract.matchAll(/^- ([A-Z]+-\d+) /gm)].map((match) => match[1] ?? '');

const LEAST_CASES = 620;

describe('the declared cases', () => {
  it(`are at least ${LEAST_CASES}`, () => {
    expect(CASES.length).toBeGreaterThanOrEqual(LEAST_CASES);
  });

  it('hold the stack to every paragraph of the contract', () => {
    const cited = new Set(CASES.map((declared) => declared.contract));
    expect(paragraphs.filter((paragraph) => !cited.has(paragraph))).toEqual([]);
  });

  it('cite paragraphs that exist', () => {
    const cited = new Set(CASES.map((declared) => declared.contract));
    expect([...cited].filter((paragraph) => !paragraphs.includes(paragraph))).toEqual([]);
  });

  it('have names of their own', () => {
    const names = CASES.map((declared) => `${declared.category}: ${declared.name}`);
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  });
});

describe('the runner', () => {
  const run = (cases: Parameters<typeof category>[2], backend = nullBackend('2i')) =>
    runConformance({ backend, firmware: FIRMWARE, cases: category('trial', {}, cases), seed: SEED });

  it('tells apart how a case ends', async () => {
    const results = await run([
      conformanceCase('passes', 'LIFE-1', {}, async () => undefined),
      conformanceCase('fails', 'LIFE-1', {}, async () => {
        throw new Error('on purpose');
      }),
      conformanceCase('hangs', 'LIFE-1', { deadlineMs: 20 }, () => new Promise(() => undefined)),
      conformanceCase('cannot be run here', 'LIFE-1', { requires: ['kernels'] }, async () => undefined),
      conformanceCase('finds out that it cannot be run', 'LIFE-1', {}, async () => unsupported('no reason')),
      conformanceCase('fails as expected', 'LIFE-1', { expectedFail: { reason: 'a defect' } }, async () => {
        throw new Error('on purpose');
      }),
      conformanceCase(
        'passes against expectation',
        'LIFE-1',
        { expectedFail: { reason: 'a defect' } },
        async () => undefined,
      ),
      conformanceCase('drops a rejected promise', 'LIFE-1', {}, async () => {
        void Promise.reject(new Error('dropped'));
        await new Promise((resolve) => setTimeout(resolve, 5));
      }),
    ]);
    expect(results.map(({ status }) => status)).toEqual([
      'pass',
      'fail',
      'fail',
      'unsupported',
      'unsupported',
      'expected-fail',
      'unexpected-pass',
      'fail',
    ]);
    expect(results[2]?.reason).toContain('20 ms');
    expect(results[7]?.reason).toContain('dropped');
  });

  it('draws the same at random for the same seed', async () => {
    const drawn: number[] = [];
    const draws = [
      conformanceCase('draws', 'LIFE-1', {}, async ({ random }) => {
        drawn.push(random.integer(0, 1_000_000));
      }),
    ];
    await run(draws);
    await run(draws);
    expect(drawn[0]).toBe(drawn[1]);
  });

  it('closes what a case opened, however it ended', async () => {
    let closed = 0;
    await run([
      conformanceCase('opens and fails', 'LIFE-1', {}, async (fixture) => {
        fixture.after(() => {
          closed++;
        });
        throw new Error('on purpose');
      }),
    ]);
    expect(closed).toBe(1);
  });
});
