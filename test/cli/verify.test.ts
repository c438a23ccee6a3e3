import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { smallModel, smallOutput, writeModelFolder } from './model-folder.js';
import { inPackage, linesOf, mtia, notBuilt, SHARED_MODELS, skipReason, temporaryFolder } from './mtia.js';
import { verifySchema } from './schemas.js';

const DROP_BIAS = inPackage('firmware/bundle/test/drop-bias.bundle');

type Verified = ReturnType<typeof verifySchema.parse>;

async function verifyJson(
  ...args: readonly string[]
): Promise<{ readonly code: number | null; readonly report: Verified }> {
  const { code, stdout, stderr } = await mtia(['verify', ...args, '--json']);
  expect(stderr).toBe('');
  return { code, report: verifySchema.parse(JSON.parse(stdout)) };
}

describe.skipIf(notBuilt !== undefined)(`mtia verify${skipReason}`, () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  const path = (name: string): string => join(folder.path, name);

  beforeAll(async () => {
    folder = await temporaryFolder();
    await writeModelFolder(path('all/good'));
    await writeModelFolder(path('all/off'), { output: smallOutput(1) });
    await writeModelFolder(path('all/unknown'), { model: smallModel('Erf') });
    await writeModelFolder(path('all/broken'), { model: smallModel().subarray(0, 600) });
  });
  afterAll(() => folder.remove());

  it('prints a line per case and the summary alone on its line', async () => {
    const { code, stdout, stderr } = await mtia(['verify', path('all')]);
    expect(stderr).toBe('');
    const lines = linesOf(stdout);
    expect(lines[0]).toMatch(/^fail {2}.*all\/broken\/model\.onnx/);
    expect(lines[1]).toMatch(/^pass {2}.*all\/good\/model\.onnx {2}max abs error /);
    expect(lines[2]).toMatch(/^fail {2}.*all\/off\/model\.onnx {2}max abs error .*expected/);
    expect(lines[3]).toMatch(/^unsupported: Erf {2}.*all\/unknown\/model\.onnx$/);
    expect(lines[4]).toBe('1 passed, 2 failed, 1 unsupported');
    expect(lines).toHaveLength(5);
    expect(code).toBe(1);
  });

  it('reports the same as JSON', async () => {
    const { code, report } = await verifyJson(path('all'));
    expect(code).toBe(1);
    expect(report).toMatchObject({ passed: 1, failed: 2, unsupported: 1 });
    expect(report.cases.map((one) => one.status)).toEqual(['fail', 'pass', 'fail', 'unsupported']);
    expect(report.cases[2]?.maxAbsError).toBeCloseTo(1, 1);
    expect(report.cases[3]?.reason).toContain('Erf');
    expect(report.cases[3]?.digest).toBeNull();
  });

  it('takes tolerances, and is exit code 0 where nothing fails', async () => {
    const { code, report } = await verifyJson(path('all/off'), path('all/unknown'), '--atol', '1.5');
    expect(code).toBe(0);
    expect(report).toMatchObject({ passed: 1, failed: 0, unsupported: 1 });
    expect((await verifyJson(path('all/good'), '--atol', '0', '--rtol', '0', '--dtype', 'bf16')).code).toBe(0);
  });

  it('runs the firmware that is named: one with a defect fails', async () => {
    const { code, report } = await verifyJson(path('all/good'), '--firmware', DROP_BIAS);
    expect(code).toBe(1);
    expect(report.cases[0]).toMatchObject({ status: 'fail' });
    expect((await verifyJson(path('all/good'))).code).toBe(0);
  });

  it.each([
    ['a directory that does not exist', () => [path('none')], 'none'],
    ['a directory without a model', () => [path('all/good/test_data_set_0')], 'test_data_set_0'],
    ['a bundle that is none', () => [path('all'), '--firmware', path('all/good/model.onnx')], 'model.onnx'],
  ])('refuses %s with one sentence and exit code 2', async (_, args, named) => {
    const { code, stdout, stderr } = await mtia(['verify', ...args()]);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(linesOf(stderr)).toHaveLength(1);
    expect(stderr).toContain(named);
  });

  it('names the data set where an output is missing', async () => {
    await writeModelFolder(path('gap'));
    await writeFile(join(path('gap'), 'test_data_set_0', 'input_2.pb'), '');
    const { report } = await verifyJson(path('gap'));
    expect(report.cases[0]?.status).toBe('fail');
    expect(report.cases[0]?.reason).toContain('input_1.pb is missing');
  });
});

const FIXTURES = inPackage('test/compiler/fixtures');
const noFixtures = existsSync(join(FIXTURES, 'wide-and-deep', 'model.onnx')) ? '' : ' (skipped: no fixtures)';

describe.skipIf(notBuilt !== undefined || noFixtures !== '')(`mtia verify, fixtures${skipReason}${noFixtures}`, () => {
  it.each(['v1', '2i'])('all pass on %s, whichever path multiplies', async (device) => {
    const fastest = await verifyJson(FIXTURES, '--device', device);
    const portable = await verifyJson(FIXTURES, '--device', device, '--matmul', 'portable');
    expect(fastest.report.cases.filter((each) => each.status !== 'pass')).toEqual([]);
    expect(portable.report.cases.map((each) => each.digest)).toEqual(fastest.report.cases.map((each) => each.digest));
  });
});

const noModels = existsSync(SHARED_MODELS) ? '' : ' (skipped: no shared models beside the checkout)';

describe.skipIf(notBuilt !== undefined || noModels !== '')(
  `mtia verify, trained models${skipReason}${noModels}`,
  () => {
    const TOLERANCE = { bf16: '2e-2', fp16: '3e-3', int8: '2e-2' } as const;

    it.each([
      ['bf16', '2i'],
      ['fp16', '2i'],
      ['bf16', 'v1'],
      ['fp16', 'v1'],
      ['int8', '2i'],
      ['int8', 'v1'],
    ] as const)('%s on %s is within its tolerance, the same on 1 and 2 threads', async (dtype, device) => {
      const args = [SHARED_MODELS, '--dtype', dtype, '--device', device, '--atol', TOLERANCE[dtype], '--rtol', '0'];
      const one = await verifyJson(...args, '--threads', '1');
      const two = await verifyJson(...args, '--threads', '2');
      for (const { code, report } of [one, two]) {
        expect(report.cases.filter((each) => each.status !== 'pass')).toEqual([]);
        expect(report.passed).toBe(4);
        expect(code).toBe(0);
      }
      const digests = ({ report }: typeof one): (string | null)[] => report.cases.map((each) => each.digest);
      expect(digests(two)).toEqual(digests(one));
    });
  },
);
