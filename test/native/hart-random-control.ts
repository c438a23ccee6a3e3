/** Random control flow: branches and jumps over instructions, loops, calls, and code that changes itself. */
import { branch, compressedBranch, compressedJump, iType, jal, loadImmediate, sType, uType } from './hart-encode.js';
import { type Instruction, narrow, sizeOf, wide } from './hart-program.js';
import { pick, type Random } from './random.js';

/** Where the instructions between the jumps come from. */
export interface Source {
  /** A few instructions without jumps, which leave the held registers alone. */
  straight(): Instruction[];
  register(): number;
  target(): number;
  /** One instruction of four bytes that any place may hold. */
  integerImmediate(): Instruction[];
  hold<T>(register: number, make: () => T): T;
}

const LINK = 1;
/** Registers that `straight` may be kept from. */
const TEMPORARIES = [5, 6, 7] as const;
/** Of compressed branches. */
const SHORT_COUNTER = 8;
const BRANCHES = [0, 1, 4, 5, 6, 7] as const;
/** More than a slice of hart_run. */
const LONG_LOOP = 1200;

const FENCE_I = 0x0000100f;
const addi = (rd: number, rs1: number, value: number): Instruction => wide(iType(0x13, 0, value, { rd, rs1 }));
const auipc = (rd: number): Instruction => wide(uType(0x17, 0, rd));
const jalr = (rd: number, rs1: number, value: number): Instruction => wide(iType(0x67, 0, value, { rd, rs1 }));
const compressedJalr = (rs1: number, links: boolean): Instruction => narrow((links ? 0x9002 : 0x8002) | (rs1 << 7));

export class ControlFlow {
  constructor(
    private readonly random: Random,
    private readonly source: Source,
  ) {}

  any(): Instruction[] {
    switch (this.random(8)) {
      case 0:
        return this.loop();
      case 1:
        return this.call();
      case 2:
        return this.changedCode();
      case 3:
        return this.jumpOver();
      default:
        return this.branchOver();
    }
  }

  private some(most: number): Instruction[] {
    return Array.from({ length: this.random(most + 1) }, () => this.source.straight()).flat();
  }

  private branchOver(): Instruction[] {
    const skipped = this.some(3);
    if (this.random(4) === 0) {
      const register = 8 + this.random(8);
      return [narrow(compressedBranch(this.random(2), register, 2 + sizeOf(skipped))), ...skipped];
    }
    const { source } = this;
    const over = branch(pick(this.random, BRANCHES), source.register(), source.register(), 4 + sizeOf(skipped));
    return [wide(over), ...skipped];
  }

  private jumpOver(): Instruction[] {
    const skipped = this.some(3);
    const size = sizeOf(skipped);
    const rd = pick(this.random, TEMPORARIES);
    switch (this.random(5)) {
      case 0:
        return [wide(jal(this.source.target(), 4 + size)), ...skipped];
      case 1:
        return [narrow(compressedJump(2 + size)), ...skipped];
      case 2:
        // The lowest bit of the sum is dropped.
        return [auipc(rd), jalr(this.source.target(), rd, 8 + size + this.random(2)), ...skipped];
      case 3:
        return [auipc(rd), jalr(rd, rd, 8 + size), ...skipped];
      default:
        return [auipc(rd), addi(rd, rd, 10 + size), compressedJalr(rd, this.random(2) === 0), ...skipped];
    }
  }

  /** A few turns, rarely many, counted down in a register that the body leaves alone. */
  private loop(): Instruction[] {
    const short = this.random(3) === 0;
    const counter = short ? SHORT_COUNTER : pick(this.random, TEMPORARIES);
    const turns = this.random(12) === 0 ? LONG_LOOP : 1 + this.random(4);
    const body = this.source.hold(counter, () => this.some(turns === LONG_LOOP ? 1 : 3));
    const back = -(sizeOf(body) + 4);
    const again = short
      ? narrow(compressedBranch(1, counter, back))
      : wide(
          pick(this.random, [branch(1, counter, 0, back), branch(4, 0, counter, back), branch(6, 0, counter, back)]),
        );
    return [addi(counter, 0, turns), ...body, addi(counter, counter, -1), again];
  }

  /** A function, which is called from behind it. */
  private call(): Instruction[] {
    const pointer = pick(this.random, TEMPORARIES);
    const link = this.random(3) === 0 ? 5 : LINK;
    const back = this.random(2) === 0 ? jalr(0, link, 0) : compressedJalr(link, false);
    const body = [...this.source.hold(link, () => this.some(3)), back];
    const size = sizeOf(body);
    const calls = [
      [wide(jal(link, -size))],
      [auipc(pointer), jalr(link, pointer, this.random(2) - size)],
      ...(link === LINK ? [[auipc(pointer), addi(pointer, pointer, -size), compressedJalr(pointer, true)]] : []),
    ];
    return [wide(jal(0, 4 + size)), ...body, ...pick(this.random, calls)];
  }

  /** Stores an instruction over one that comes, and over that of the turns before. */
  private changedCode(): Instruction[] {
    const [pointer, code] = this.random(2) === 0 ? [5, 6] : [7, 5];
    const [before, after] = [this.source.integerImmediate(), this.source.integerImmediate()];
    const load = loadImmediate(code, (after[0]?.word ?? 0) | 0).map(wide);
    const between = this.source.hold(pointer, () => this.source.hold(code, () => this.some(1)));
    const distance = sizeOf([...load, ...between]) + 12;
    return [
      auipc(pointer),
      ...load,
      ...between,
      wide(sType(0x23, 2, distance, { rs1: pointer, rs2: code })),
      wide(FENCE_I),
      ...before,
    ];
  }
}
