import { existsSync } from 'node:fs';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { openEmulatorWithDebug, type PciFunction } from '../../src/driver/index.js';
import { DebugPort, type ExecuteResult, executeElf, parseHart } from '../../src/firmware-emu/index.js';
import { type Generation, SPECIFICATIONS } from '../../src/hw/index.js';
import {
  BAD_LOAD,
  BASE,
  countDown,
  type ElfShape,
  elfOf,
  ILLEGAL,
  JUMP_TO_ITSELF,
  OWN_HANDLER,
  report,
  TRAPS_FOR_EVER,
  WAIT_A_MICROSECOND,
  WAIT_FOR_EVER,
} from './programs.js';

const open: PciFunction[] = [];
afterEach(() => {
  for (const pci of open.splice(0)) pci.close();
});

function openPort(generation: Generation): DebugPort {
  const { pci, debug } = openEmulatorWithDebug({ generation, threads: 1 });
  open.push(pci);
  return new DebugPort(debug);
}

interface Where {
  readonly generation?: Generation;
  readonly name?: string;
  readonly maxInstructions?: number;
  readonly port?: DebugPort;
}

function execute(file: Uint8Array, where: Where = {}): Promise<ExecuteResult> {
  const { generation = '2i', name = 'pe0.0', maxInstructions = 100_000, port = openPort(generation) } = where;
  const hart = parseHart(name);
  if (hart === undefined) throw new Error(`${name} is no hart`);
  return executeElf(port, file, { generation, hart, maxInstructions });
}

const HARTS = [
  ['2i', 'ccp'],
  ['2i', 'ccp.3'],
  ['2i', 'pe0.0'],
  ['2i', 'pe63.1'],
  ['v1', 'ccp'],
  ['v1', 'pe17.0'],
] as const;

describe.each(HARTS)('on MTIA %s, hart %s, a program', (generation, name) => {
  it('passes', async () => {
    const result = await execute(elfOf(report(1)), { generation, name });
    expect(result).toMatchObject({ status: 'pass', testNumber: undefined, cause: undefined });
    expect(result.pc).toBe(BigInt(BASE + 20));
  });

  it('fails with the number of its test', async () => {
    expect(await execute(elfOf(report(2 * 37 + 1)), { generation, name })).toMatchObject({
      status: 'fail',
      testNumber: 37,
    });
  });

  it('traps where it has no handler', async () => {
    const result = await execute(elfOf(ILLEGAL), { generation, name });
    expect(result).toMatchObject({ status: 'trap', cause: 2n, value: 0n, pc: BigInt(BASE + 4) });
    expect(await execute(elfOf(BAD_LOAD), { generation, name })).toMatchObject({
      status: 'trap',
      cause: 5n,
      value: 0x7ead_0008n,
    });
  });

  it('sits in a handler of its own that goes nowhere', async () => {
    expect(await execute(elfOf(OWN_HANDLER), { generation, name })).toMatchObject({
      status: 'trap',
      cause: 11n,
      pc: BigInt(BASE + 12),
    });
  });

  it('runs into the limit', async () => {
    const result = await execute(elfOf([JUMP_TO_ITSELF]), { generation, name, maxInstructions: 5000 });
    expect(result).toMatchObject({ status: 'limit', pc: BigInt(BASE), waitsFor: undefined });
    expect(result.instructions).toBeGreaterThanOrEqual(5000);
    expect(result.instructions).toBeLessThan(6000);
  });

  it('waits for an interrupt that cannot come', async () => {
    expect(await execute(elfOf(WAIT_FOR_EVER), { generation, name })).toMatchObject({
      status: 'limit',
      waitsFor: 'wfi',
    });
  });
});

describe.each([
  ['2i', 'ccp', SPECIFICATIONS['2i'].clockMHz.value],
  ['2i', 'pe5.1', SPECIFICATIONS['2i'].clockMHz.value],
  ['v1', 'pe0.0', SPECIFICATIONS.v1.clockMHz.value],
] as const)('time on %s %s', (generation, name, clockMHz) => {
  it('passes for a program that waits for it', async () => {
    const result = await execute(elfOf(WAIT_A_MICROSECOND), { generation, name, maxInstructions: 5000 });
    expect(result.status).toBe('pass');
    expect(result.instructions).toBeGreaterThan(clockMHz);
  });

  it('passes with the cycles of the hart, and with nothing else', async () => {
    const port = openPort(generation);
    const hart = parseHart(name);
    if (hart === undefined) throw new Error(`${name} is no hart`);
    await execute(elfOf([JUMP_TO_ITSELF]), { generation, name, port, maxInstructions: 1 });
    const time = (): bigint => port.readCsr(hart, 'time');
    const start = time();
    let cycles = 0;
    for (let step = 1; step <= 200; step++) cycles += port.run(hart, 1 + (step % 40)).executed;
    expect(Number(time() - start)).toBeCloseTo((cycles * 1000) / clockMHz, -1);
    const end = time();
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(time()).toBe(end);
  });
});

describe('executeElf', () => {
  it('ends though every trap traps again', async () => {
    const result = await execute(elfOf(TRAPS_FOR_EVER));
    expect(['trap', 'limit']).toContain(result.status);
  });

  it('runs long programs in slices that leave the event loop free', async () => {
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    const result = await execute(elfOf(countDown(8_000_000)), { maxInstructions: 100_000_000 });
    clearInterval(timer);
    expect(result.status).toBe('pass');
    expect(result.instructions).toBeGreaterThan(16_000_000);
    expect(turns).toBeGreaterThan(1);
  });

  it('runs one program after another on the same chip', async () => {
    const port = openPort('2i');
    expect((await execute(elfOf(ILLEGAL), { port })).status).toBe('trap');
    expect((await execute(elfOf(report(1)), { port })).status).toBe('pass');
    expect((await execute(elfOf(report(7)), { port })).testNumber).toBe(3);
    expect((await execute(elfOf(report(1)), { port, name: 'ccp' })).status).toBe('pass');
  });

  it('runs a program without tohost until it traps', async () => {
    expect((await execute(elfOf(ILLEGAL, { tohost: null }))).status).toBe('trap');
    expect((await execute(elfOf(report(1), { tohost: null }))).status).toBe('limit');
  });

  const REFUSED: readonly (readonly [string, ElfShape, RegExp])[] = [
    ['linked where there is no memory', { base: 0x2000 }, /segment at 0x2000 .* link it at 0x80000000/],
    ['larger than memory', { memoryBytes: 2 ** 40 }, /lies outside/],
    ['in the page of unhandled traps', { base: 0x807f_f000 }, /lies outside/],
    ['that begins in data', { base: 0x0800_0000 }, /cannot execute/],
    ['that begins outside of its segments', { entry: 0x8000_4000 }, /entry 0x80004000/],
    ['that begins at an odd address', { entry: BASE + 1 }, /entry/],
    ['whose tohost is elsewhere', { tohost: 0x1234_5678 }, /tohost at 0x12345678/],
    ['whose tohost is misaligned', { tohost: BASE + 4 }, /tohost/],
  ];
  it.each(REFUSED)('refuses a program %s', async (_what, shape, message) => {
    await expect(execute(elfOf(report(1), shape))).rejects.toThrow(message);
  });

  it('says how to leave the headers of the file out, where they are what lies outside', async () => {
    const file = elfOf(report(1), { base: BASE - 4096, memoryBytes: 8192, entry: BASE });
    const firstProgramHeader = 64;
    file.writeBigUInt64LE(0n, firstProgramHeader + 8); // its offset in the file
    await expect(execute(file)).rejects.toThrow(/segment at 0x7ffff000 .*without the ELF headers .*-Wl,-n/);
  });

  it('refuses a request for a service of the host', async () => {
    await expect(execute(elfOf(report(0x800)))).rejects.toThrow(/tohost is 0x800/);
  });

  it('answers any damaged file with a result or one sentence', async () => {
    const port = openPort('v1');
    const good = elfOf(report(1));
    const damage = fc.array(fc.tuple(fc.oneof(fc.nat(120), fc.nat(good.length - 1)), fc.nat(255)), {
      minLength: 1,
      maxLength: 4,
    });
    await fc.assert(
      fc.asyncProperty(damage, fc.nat(good.length), async (changes, cut) => {
        const file = Buffer.from(good);
        for (const [at, value] of changes) file[at] = value;
        const truncated = cut % 3 === 0 ? file.subarray(0, cut) : file;
        try {
          await execute(truncated, { generation: 'v1', port, maxInstructions: 3000 });
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
          expect(String(error)).not.toContain('out of range');
        }
      }),
      { numRuns: 400 },
    );
  });
});

describe('a hart', () => {
  it.each(['', 'pe', 'pe64.0', 'pe0.2', 'ccp.4', 'pe00.0', 'PE0.0'])('is not called %j', (name) => {
    expect(parseHart(name)).toBeUndefined();
  });
});

const COMPILER = ['/usr/bin', '/usr/local/bin', ...(process.env.PATH ?? '').split(':')]
  .map((folder) => `${folder}/riscv64-unknown-elf-gcc`)
  .find((path) => existsSync(path));
const compilerReason = COMPILER === undefined ? ' (skipped: riscv64-unknown-elf-gcc is not installed)' : '';

describe.skipIf(COMPILER === undefined)(`a program in C${compilerReason}`, () => {
  it.each(['ccp', 'pe5.0'])('passes on %s', async (name) => {
    const { compileProgram } = await import('./compile-program.js');
    const file = compileProgram(COMPILER ?? '', SIEVE);
    expect((await execute(file, { name, maxInstructions: 10_000_000 })).status).toBe('pass');
  });
});

/** Counts the primes below 10,000, of which there are 1229, and multiplies in floating point. */
const SIEVE = `
volatile unsigned long tohost __attribute__((aligned(64)));
static unsigned char composite[10000];
__attribute__((section(".text.init"), naked)) void _start(void) {
  __asm__ volatile("li t0, 0x6000\\n csrs mstatus, t0\\n la sp, stack_top\\n call run\\n1: j 1b");
}
unsigned char stack[8192] __attribute__((aligned(16)));
__asm__(".globl stack_top\\n.set stack_top, stack + 8192");
void run(void) {
  int primes = 0;
  double product = 1.0;
  for (int i = 2; i < 10000; i++) {
    if (composite[i]) continue;
    primes++;
    product = product * (1.0 + 1.0 / i);
    for (int j = 2 * i; j < 10000; j += i) composite[j] = 1;
  }
  tohost = primes != 1229 ? 3 : product < 9.9 || product > 10.1 ? 5 : 1;
}
`;
