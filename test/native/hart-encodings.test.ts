/** Which bits are an instruction: the hart against the disassembler of binutils, which has tables of its own. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { compileNative, nativeSources, ROOT } from './compile.js';
import { randomFrom } from './random.js';

const TOOLS = 'riscv64-unknown-elf-';
const hasTools = ['as', 'strip', 'objdump'].every((tool) => spawnSync(TOOLS + tool, ['--version']).status === 0);
const skipReason = hasTools ? '' : ' (skipped: Debian package binutils-riscv64-unknown-elf is not installed)';

/** Opcodes of RV64IMAFDC, but fences (what is reserved in them shall be ignored) and CSRs (not the decoder's business). */
const OPCODES = [
  0x03, 0x07, 0x13, 0x17, 0x1b, 0x23, 0x27, 0x2f, 0x33, 0x37, 0x3b, 0x43, 0x47, 0x4b, 0x4f, 0x53, 0x57, 0x63, 0x67,
  0x6f,
];
/** Those whose upper bits choose the operation. */
const REGISTER_OPCODES = [0x13, 0x1b, 0x2f, 0x33, 0x3b, 0x53];
const RANDOM_WORDS = 20_000;

const isCompressed = (word: number): boolean => (word & 3) !== 3;

function wordsToTry(): Uint32Array {
  const random = randomFrom(1);
  const compressed = Array.from({ length: 0x10000 }, (_, word) => word).filter(isCompressed);
  const operations = REGISTER_OPCODES.flatMap((opcode) =>
    Array.from({ length: 0x400 }, (_, i) => opcode | ((i & 7) << 12) | ((i >> 3) << 25) | (random(32) << 20) | 0x30280),
  );
  const any = Array.from({ length: RANDOM_WORDS }, (_, i) => {
    const bits = (random(0x1000) << 20) | (random(0x2000) << 7);
    return bits | (OPCODES[i % OPCODES.length] ?? 0);
  });
  return Uint32Array.from([...compressed, ...operations, ...any]);
}

/** Where the two differ on purpose. */
function isSpecial(word: number): boolean {
  const exactConversion = (word & 0x7f) === 0x53 && [0x21, 0x69].includes(word >>> 25); // any valid mode rounds as any other
  return word === 0x6101 || exactConversion; // c.addi16sp of 0 is reserved
}

/** By address, the text of each instruction. */
function disassemble(folder: string, words: Uint32Array): Map<number, string> {
  const [source, object] = [join(folder, 'words.s'), join(folder, 'words.o')];
  // Something legal behind each short one, so that all are four bytes apart.
  const lines = [...words].map((word) => (isCompressed(word) ? `.2byte ${word}, 1` : `.4byte ${word >>> 0}`));
  writeFileSync(source, `${lines.join('\n')}\n`);
  execFileSync(`${TOOLS}as`, ['-march=rv64imafdc_zicsr_zifencei', '-mabi=lp64d', source, '-o', object]);
  execFileSync(`${TOOLS}strip`, ['-s', object]); // the marks that these are data
  const text = execFileSync(`${TOOLS}objdump`, ['-d', '-M', 'no-aliases', object], { maxBuffer: 2 ** 28 }).toString();
  const found = text.matchAll(/^ *([0-9a-f]+):\t[0-9a-f]+ +\t(.*)$/gm);
  return new Map([...found].map(([, address = '', instruction = '']) => [Number.parseInt(address, 16), instruction]));
}

describe.skipIf(!hasTools)(`the encodings of instructions${skipReason}`, () => {
  it('are those that binutils knows for RV64IMAFDC, all compressed ones among them', () => {
    const runner = compileNative('hart_runner', [...nativeSources('hart'), 'native/test/hart_runner.c']);
    const folder = join(ROOT, 'build', 'test', 'hart-encodings');
    mkdirSync(folder, { recursive: true });
    const words = wordsToTry();
    const file = join(folder, 'words.bin');
    writeFileSync(file, words);
    const ours = execFileSync(runner, ['--legality', file], { maxBuffer: 2 ** 24 }).toString();
    const theirs = disassemble(folder, words);
    expect(ours).toHaveLength(words.length);
    const differing = [...words].flatMap((word, i) => {
      const text = theirs.get(i * 4) ?? 'nothing';
      const legal = !/^(\.|c\.unimp|nothing)|unknown/.test(text); // unknown: a rounding mode
      return legal === (ours[i] === '1') || isSpecial(word) ? [] : [`0x${(word >>> 0).toString(16)}: ${text}`];
    });
    expect(differing).toEqual([]);
    expect([...ours].filter((one) => one === '0').length).toBeGreaterThan(3000);
  }, 120_000);
});
