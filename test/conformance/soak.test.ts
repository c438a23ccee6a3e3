/** The soak can fail: it finds a device that does nothing, shortens the program, and notices a process that grows. */
import { readdir } from 'node:fs/promises';
import { describe, expect, it, vi } from 'vitest';
import { emulatorBackend, nullBackend, soak, withTestKernels } from '../../src/conformance/index.js';
import { GrowthWatch, processResources } from '../../src/conformance/process-resources.js';
import { OutcomeLog } from '../../src/conformance/programs/outcome-log.js';
import { randomProgram } from '../../src/conformance/programs/random-program.js';
import { Random } from '../../src/conformance/random.js';
import { MtiaError } from '../../src/driver/index.js';
import { loadBundle } from '../../src/firmware-emu/index.js';
import { mtia, temporaryFolder } from '../cli/mtia.js';

const FIRMWARE = withTestKernels(loadBundle());
const STEPS = 60;
const MIB = 2 ** 20;

const failing = (code: 'KERNEL_ERROR' | 'ABORTED'): Promise<never> => Promise.reject(new MtiaError(code, 'on purpose'));

describe('the soak', () => {
  it('draws the same program from the same seed', () => {
    const draw = (seed: number) => randomProgram(new Random(seed, 'program'), { steps: STEPS, faults: true });
    expect(draw(3)).toEqual(draw(3));
    expect(draw(3)).not.toEqual(draw(4));
    expect(draw(3)).toHaveLength(STEPS);
  });

  it('finds a card that completes everything and does nothing, in a few steps', async () => {
    const { failure, programs } = await soak({
      backend: nullBackend('2i'),
      firmware: FIRMWARE,
      seed: 1,
      minutes: 1,
      steps: STEPS,
    });
    expect(programs).toBe(0);
    expect(failure?.shortened).toBe(true);
    expect(failure?.program.length).toBeLessThan(STEPS / 4);
  });

  it('passes a card that works, with every device under load', async () => {
    const temporary = await temporaryFolder();
    vi.stubEnv('TMPDIR', temporary.path);
    const report = await soak({
      backend: emulatorBackend('2i'),
      firmware: FIRMWARE,
      seed: 1,
      minutes: 0.02,
      steps: STEPS,
    });
    expect(report.failure).toBeUndefined();
    expect(report.programs).toBeGreaterThan(0);
    expect(report.commands).toBeGreaterThan(0);
    expect(report.counts.work).toBeGreaterThan(0);
    expect(await readdir(temporary.path)).toEqual([]);
    vi.unstubAllEnvs();
    await temporary.remove();
  });

  it.each(['missing-fence', 'overlapping-allocations'])('finds %s', async (mutant) => {
    const options = ['--mutant', mutant, '--category', 'stress and fuzz', '--until-caught', '--seed', '1'];
    const { code, stdout } = await mtia(['conformance', ...options, '--reporter', 'json']);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ failed: 1 });
  });
});

describe('the outcome log', () => {
  it('applies what has succeeded, in the order of the program', async () => {
    const log = new OutcomeLog();
    const order: string[] = [];
    let resolve = (): void => undefined;
    const slow = new Promise<void>((done) => {
      resolve = done;
    });
    log.begin({ what: 'first', done: slow, succeeded: () => order.push('first') });
    log.begin({ what: 'second', done: Promise.resolve(), succeeded: () => order.push('second') });
    setImmediate(resolve);
    await log.settle();
    expect(order).toEqual(['first', 'second']);
    expect(log.count).toBe(2);
  });

  it('refuses a success where a failure was due, and any failure that was not', async () => {
    const log = new OutcomeLog();
    log.begin({ what: 'lucky', done: Promise.resolve(), fails: ['KERNEL_ERROR'] });
    await expect(log.settle()).rejects.toThrow('lucky: succeeded, and was to fail with KERNEL_ERROR');
    log.begin({ what: 'unlucky', done: failing('ABORTED') });
    await expect(log.settle()).rejects.toThrow('unlucky: ABORTED');
    log.begin({ what: 'wrong', done: failing('ABORTED'), fails: ['KERNEL_ERROR'] });
    await expect(log.settle()).rejects.toThrow('wrong: ABORTED');
    log.begin({ what: 'nameless', done: Promise.reject(new Error('boom')) });
    await expect(log.settle(true)).rejects.toThrow('nameless: failed without a name');
    log.begin({ what: 'expected', done: failing('KERNEL_ERROR'), fails: ['KERNEL_ERROR'] });
    log.begin({ what: 'possible', done: failing('ABORTED'), mayFail: ['ABORTED'] });
    await log.settle();
  });
});

describe('what the process holds', () => {
  const first = processResources();
  const watch = (grown: typeof first, times: number): string | undefined => {
    const growth = new GrowthWatch();
    for (let time = 0; time < 10; time++) growth.add(first);
    let found: string | undefined;
    for (let time = 0; time < times; time++) found ??= growth.add(grown);
    return found;
  };

  it.each([
    ['heapBytes', { ...first, heapBytes: first.heapBytes + 100 * MIB }],
    ['residentBytes', { ...first, residentBytes: first.residentBytes + 300 * MIB }],
    ['descriptors', { ...first, descriptors: first.descriptors + 20 }],
    ['threads', { ...first, threads: first.threads + 20 }],
  ])('is a leak where more of %s stays than there ever was at first', (key, grown) => {
    expect(watch(grown, 10)).toContain(key);
  });

  it('is none where it comes and goes', () => {
    expect(watch(first, 10)).toBeUndefined();
    expect(watch({ ...first, residentBytes: first.residentBytes + 300 * MIB }, 1)).toBeUndefined();
  });
});
