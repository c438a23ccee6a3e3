/** The hart against qemu-riscv64 on random programs: registers, floating point flags and memory must agree bit by bit. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { shrink } from '../../src/conformance/programs/shrink.js';
import { compileNative, nativeSources, ROOT } from './compile.js';
import { DATA_BYTES } from './hart-encode.js';
import { CHECKPOINT_BYTES, checkpoint, type Instruction, programOf } from './hart-program.js';
import { Generator } from './hart-random.js';
import { cornerData, randomData } from './hart-random-data.js';
import { type Random, randomFrom } from './random.js';

const PROGRAMS = Number(process.env.HART_PROGRAMS ?? 24);
const FIRST_SEED = Number(process.env.HART_SEED ?? 1);
const INSTRUCTIONS = 2500;
/** Short programs of a file, each with fresh registers and a look at all of them at its end. */
const SHORT_PROGRAMS = 90;
const SHORT_CHUNKS = 12;
const SHRINK_MS = 20_000;

const hasQemu = spawnSync('qemu-riscv64', ['--version']).status === 0;
const skipReason = hasQemu ? '' : ' (skipped: qemu-riscv64 is not installed; Debian package qemu-user)';

/** Instructions that stay together (a branch and what it skips), and the memory of a program. */
interface RandomProgram {
  readonly chunks: readonly Instruction[][];
  readonly data: Buffer;
}

function shortPrograms(random: Random, generator: Generator): Instruction[][] {
  const one = (): Instruction[][] => {
    const chunks = Array.from({ length: SHORT_CHUNKS }, () => generator.any());
    return [...chunks, checkpoint(random(190) * 8 - 1024)];
  };
  return Array.from({ length: SHORT_PROGRAMS }, one).flat();
}

function longProgram(next: () => Instruction[]): Instruction[][] {
  const chunks: Instruction[][] = [];
  for (let length = 0; length < INSTRUCTIONS; length += chunks.at(-1)?.length ?? 0) chunks.push(next());
  return chunks;
}

type Kind = 'short' | 'mixed' | 'float';

function randomProgram(seed: number, kind: Kind): RandomProgram {
  const random = randomFrom(seed);
  const generator = new Generator(random);
  const data = kind === 'float' ? cornerData(random) : randomData(random);
  if (kind === 'short') return { chunks: shortPrograms(random, generator), data };
  return { chunks: longProgram(() => (kind === 'mixed' ? generator.any() : generator.hashedFloat())), data };
}

function placeName(at: number, expectedBytes: number): string {
  const checkpoints = expectedBytes - DATA_BYTES;
  const [part, offset] =
    at < checkpoints
      ? [`short program ${Math.floor(at / CHECKPOINT_BYTES)}: `, at % CHECKPOINT_BYTES]
      : ['', at - checkpoints];
  const i = offset / 8;
  return part + (i < 32 ? `x${i}` : i < 64 ? `f${i - 32}` : i === 64 ? 'fcsr' : `memory ${offset}`);
}

/** Where two dumps differ, by name: x and f registers and fcsr of every checkpoint, then of the end, then memory. */
function difference(actual: Buffer, expected: Buffer): string {
  const lines: string[] = [];
  for (let at = 0; at + 8 <= expected.length; at += 8) {
    const [a, e] = [actual.length >= at + 8 ? actual.readBigUInt64LE(at) : -1n, expected.readBigUInt64LE(at)];
    if (a !== e) lines.push(`${placeName(at, expected.length)}: hart ${a.toString(16)}, qemu ${e.toString(16)}`);
  }
  return lines.slice(0, 12).join('\n');
}

function lineOf({ word, bytes }: Instruction): string {
  return `  .${bytes === 4 ? 'word' : 'half'} 0x${(word >>> 0).toString(16).padStart(bytes * 2, '0')}`;
}

/** For an assembler; a checkpoint, which only moves registers, as one line. */
function listing(chunks: readonly Instruction[][]): string {
  const lines = chunks.flatMap((chunk) =>
    chunk.length > CHECKPOINT_BYTES / 8 ? ['  # checkpoint: registers go out, others come in'] : chunk.map(lineOf),
  );
  return lines.join('\n');
}

describe(`random programs${skipReason}`, () => {
  let runner = '';
  const folder = join(ROOT, 'build', 'test', 'hart-programs');
  beforeAll(() => {
    runner = compileNative('hart_runner', [...nativeSources('hart'), 'native/test/hart_runner.c']);
    mkdirSync(folder, { recursive: true });
  }, 300_000);

  /** What the hart does otherwise than qemu; empty where nothing. */
  function disagreement(file: string, { chunks, data }: RandomProgram): string {
    writeFileSync(file, programOf(chunks.flat(), data), { mode: 0o755 });
    const expected = execFileSync('qemu-riscv64', [file]);
    const actual = spawnSync(runner, [file]);
    return actual.stderr.toString() + difference(actual.stdout, expected);
  }

  /** The same as a report: with the shortest list of instructions that disagrees. */
  async function report(file: string, program: RandomProgram): Promise<string> {
    if (disagreement(file, program) === '') return '';
    const fails = (chunks: readonly Instruction[][]): boolean => disagreement(file, { ...program, chunks }) !== '';
    const chunks = await shrink(program.chunks, fails, SHRINK_MS);
    return `${disagreement(file, { ...program, chunks })}\n${listing(chunks)}\nleft in ${file}`;
  }

  it.skipIf(!hasQemu).each([
    { kind: 'short', what: 'that are short, of all extensions,' },
    { kind: 'mixed', what: 'of all extensions' },
    { kind: 'float', what: 'of floating point on corner values' },
  ] as const)('$what end in the state that qemu-riscv64 computes', async ({ kind }) => {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + PROGRAMS; seed++) {
      const file = join(folder, `${kind}-${process.pid}`);
      expect(await report(file, randomProgram(seed, kind)), `seed ${seed}`).toBe('');
    }
  });

  it('take the same steps one at a time as in one go', () => {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + 3; seed++) {
      const file = join(folder, `stepped-${process.pid}`);
      const { chunks, data } = randomProgram(seed, 'mixed');
      writeFileSync(file, programOf(chunks.flat(), data));
      const [whole, stepped, short] = [1 << 20, 1, 100].map((budget) => {
        const run = spawnSync(runner, [file, '--budget', String(budget), '--report']);
        return {
          output: run.stdout,
          count: /"instructions": (\d+), "cycles": (\d+)/.exec(run.stderr.toString())?.slice(1),
        };
      });
      expect(stepped, `seed ${seed}`).toEqual(whole);
      expect(short, `seed ${seed}`).toEqual(whole);
    }
  });
});

describe('a failing list', () => {
  it('shrinks to the items that make it fail', async () => {
    const items = Array.from({ length: 1000 }, (_, i) => i);
    let asked = 0;
    const fails = (list: readonly number[]): boolean => {
      asked++;
      return list.includes(17) && list.includes(803) && list.includes(804);
    };
    expect(await shrink(items, fails, 10_000)).toEqual([17, 803, 804]);
    expect(asked).toBeLessThan(200);
  });

  it('stays as it is where every item counts, and where there is no time', async () => {
    const items = [1, 2, 3, 4, 5];
    expect(await shrink(items, (list) => list.length === 5, 10_000)).toEqual(items);
    expect(await shrink(items, () => true, 0)).toEqual(items);
  });
});
