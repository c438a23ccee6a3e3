/** What the kernel tests share: memory of a case, runs on both generations, comparison with a reference. */
import { expect } from 'vitest';
import type { KernelBench, KernelLaunch } from './kernel-bench.js';
import { type FloatType, load, type NumberType, roundingError } from './number-formats.js';

const FILLER = 0xa5;
const SLACK_BYTES = 4096;

/** Device memory of one case. What nobody writes holds filler, so a stray write or a read of padding shows. */
export class Arena {
  bytes = new Uint8Array(1 << 16).fill(FILLER);
  view = new DataView(this.bytes.buffer);
  #end = SLACK_BYTES;

  /** Offset of new memory. */
  allocate(bytes: number, alignment = 64, shift = 0): number {
    const at = Math.ceil(this.#end / alignment) * alignment + shift;
    this.#end = at + bytes;
    this.#grow(this.#end + SLACK_BYTES);
    return at;
  }

  #grow(bytes: number): void {
    if (bytes <= this.bytes.length) return;
    const larger = new Uint8Array(Math.max(bytes, this.bytes.length * 2)).fill(FILLER);
    larger.set(this.bytes);
    this.bytes = larger;
    this.view = new DataView(larger.buffer);
  }
}

export interface Job extends Omit<KernelLaunch, 'memory'> {
  readonly arena: Arena;
}

/** An element that the job has to write: its place, its value, how far off it may be. */
export interface Expectation {
  readonly at: number;
  readonly type: NumberType;
  readonly value: number;
  /** Absolute, on top of the rounding to `type`. */
  readonly error?: number;
  /** Every bit counts: not even the rounding to `type` may differ. */
  readonly exact?: boolean;
}

function run(bench: KernelBench, { arena, ...launch }: Job): Promise<Uint8Array> {
  return bench.run({ ...launch, memory: arena.bytes });
}

export async function expectFailure(benches: readonly KernelBench[], job: Job, code: string): Promise<void> {
  for (const bench of benches) await expect(run(bench, job), bench.generation).rejects.toMatchObject({ code });
}

/** Runs the job on every generation: each meets the expectations, writes nothing else, and all agree bit by bit. */
export async function expectJob(
  benches: readonly KernelBench[],
  job: Job,
  expectations: Iterable<Expectation>,
): Promise<void> {
  const results: Uint8Array[] = [];
  for (const bench of benches) results.push(await run(bench, job));
  const [first, ...others] = results;
  if (first === undefined) throw new Error('no bench');
  const view = new DataView(first.buffer, first.byteOffset);
  const expected = first.slice();
  const untouched = job.arena.bytes.slice();
  for (const expectation of expectations) {
    checkElement(view, expectation);
    const bytes = elementBytes(expectation.type);
    untouched.set(expected.subarray(expectation.at, expectation.at + bytes), expectation.at);
  }
  expectSameBytes(first, untouched, 'bytes beside the output');
  for (const other of others) expectSameBytes(other, first, 'generations');
}

function elementBytes(type: NumberType): number {
  return type === 'INT8' ? 1 : type === 'FP16' || type === 'BF16' ? 2 : 4;
}

function checkElement(view: DataView, { at, type, value, error = 0, exact = false }: Expectation): void {
  const actual = load(view, at, type);
  if (Object.is(actual, value) || (Number.isNaN(actual) && Number.isNaN(value))) return;
  if (exact) expect.fail(`at ${at}: ${actual} instead of exactly ${value} (${type})`);
  const isFloat = type !== 'INT8' && type !== 'INT32';
  const allowed = error + (isFloat ? roundingError(Math.abs(value) + error, type as FloatType) : 0);
  if (!(Math.abs(actual - value) <= allowed)) {
    expect.fail(`at ${at}: ${actual} instead of ${value} (${type}, may be off by ${allowed})`);
  }
}

function expectSameBytes(actual: Uint8Array, expected: Uint8Array, what: string): void {
  if (Buffer.compare(actual, expected) === 0) return;
  const at = actual.findIndex((byte, index) => byte !== expected[index]);
  expect.fail(`${what}: byte ${at} is ${actual[at]} instead of ${expected[at]}`);
}
