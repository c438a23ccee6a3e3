/** Random instructions out of I, M, A, F, D, C and the floating point CSRs. */
import { iType, rType, sType, uType } from './hart-encode.js';
import {
  ATOMIC_BASE,
  BASE,
  COMPRESSED_BASE,
  HASH,
  type Instruction,
  narrow,
  RESERVED,
  STACK,
  wide,
} from './hart-program.js';
import { ControlFlow, type Source } from './hart-random-control.js';
import { pick, type Random } from './random.js';

/** x8 and x10 to x15 as compressed instructions name them; x9 holds an address. */
const SHORT_REGISTERS = [0, 2, 3, 4, 5, 6, 7] as const;

export class Generator implements Source {
  /** The register written last: chains of dependent instructions are what compilers emit. */
  private last = 0;
  /** Not written for now. */
  private readonly held: number[] = [];
  private readonly controlFlow: ControlFlow;

  constructor(private readonly random: Random) {
    this.controlFlow = new ControlFlow(random, this);
  }

  register(): number {
    return this.random(3) === 0 ? this.last : this.random(32);
  }

  target(): number {
    const rd = this.random(32);
    if (RESERVED.includes(rd) || this.held.includes(rd)) return this.target();
    this.last = rd;
    return rd;
  }

  /** What make makes does not write the register, one of x1, x5 to x8. */
  hold<T>(register: number, make: () => T): T {
    this.held.push(register);
    try {
      return make();
    } finally {
      this.held.pop();
    }
  }

  private immediate(): number {
    return this.random(4) === 0 ? this.random(8) - 4 : this.random(4096) - 2048;
  }

  private integerRegister(): Instruction[] {
    const operands = { rs1: this.register(), rs2: this.register(), rd: this.target() };
    const word = this.random(3) === 0;
    if (this.random(4) === 0) {
      const funct3 = word ? pick(this.random, [0, 4, 5, 6, 7]) : this.random(8);
      return [wide(rType(word ? 0x3b : 0x33, funct3, 1, operands))];
    }
    const funct3 = word ? pick(this.random, [0, 1, 5]) : this.random(8);
    const alternate = (funct3 === 0 || funct3 === 5) && this.random(2) === 0;
    return [wide(rType(word ? 0x3b : 0x33, funct3, alternate ? 0x20 : 0, operands))];
  }

  integerImmediate(): Instruction[] {
    const operands = { rs1: this.register(), rd: this.target() };
    const word = this.random(3) === 0;
    const funct3 = word ? pick(this.random, [0, 1, 5]) : this.random(8);
    const shift = funct3 === 1 || funct3 === 5;
    const arithmetic = funct3 === 5 && this.random(2) === 0 ? 0x400 : 0;
    const immediate = shift ? this.random(word ? 32 : 64) | arithmetic : this.immediate();
    return [wide(iType(word ? 0x1b : 0x13, funct3, immediate, operands))];
  }

  private upper(): Instruction[] {
    return [wide(uType(pick(this.random, [0x37, 0x17]), this.random(0x100000) * 4096, this.target()))];
  }

  private memory(): Instruction[] {
    const immediate = this.immediate();
    switch (this.random(4)) {
      case 0:
        return [wide(sType(0x23, this.random(4), immediate, { rs1: BASE, rs2: this.register() }))];
      case 1:
        return [wide(iType(0x07, 2 + this.random(2), immediate, { rd: this.register(), rs1: BASE }))];
      case 2:
        return [wide(sType(0x27, 2 + this.random(2), immediate, { rs1: BASE, rs2: this.register() }))];
      default:
        return [wide(iType(0x03, this.random(7), immediate, { rd: this.target(), rs1: BASE }))];
    }
  }

  /** An address computed in a register that the next instruction uses, from a constant or from an index. */
  private computedAddress(): Instruction[] {
    const rd = 10 + this.random(8);
    const base = this.random(4) === 0 ? STACK : BASE;
    const constant = [wide(iType(0x13, 0, this.random(1024), { rd, rs1: base }))];
    const index = [
      wide(iType(0x13, 7, this.random(256), { rd, rs1: this.register() })),
      wide(iType(0x13, 1, this.random(3), { rd, rs1: rd })),
      wide(rType(0x33, 0, 0, { rd, rs1: rd, rs2: base })),
    ];
    const offset = this.random(1024);
    const store = wide(
      sType(0x23, this.random(4), offset, { rs1: rd, rs2: this.random(2) === 0 ? rd : this.register() }),
    );
    const load = wide(iType(0x03, this.random(7), offset, { rd: this.target(), rs1: rd }));
    return [...(this.random(2) === 0 ? constant : index), this.random(3) === 0 ? store : load];
  }

  /** At the address of ATOMIC_BASE, or at one that is computed and may be overwritten by what was there. */
  private atomic(): Instruction[] {
    const funct3 = 2 + this.random(2);
    const order = this.random(4);
    if (this.random(4) === 0) return this.reservation(funct3, order);
    const funct5 = pick(this.random, [0, 1, 4, 8, 12, 16, 20, 24, 28]);
    const own = this.random(3) === 0;
    const rs1 = own ? 10 + this.random(8) : ATOMIC_BASE;
    const rd = own && this.random(2) === 0 ? rs1 : this.target();
    const rs2 = this.random(6) === 0 ? rs1 : this.register();
    const address = own ? [wide(iType(0x13, 0, this.random(255) * 8 - 1024, { rd: rs1, rs1: ATOMIC_BASE }))] : [];
    return [...address, wide(rType(0x2f, funct3, (funct5 << 2) | order, { rd, rs1, rs2 }))];
  }

  /** LR and SC, also with a store between them, alone, twice, and at another address. */
  private reservation(funct3: number, order: number): Instruction[] {
    const rs1 = ATOMIC_BASE;
    const reserve = wide(rType(0x2f, funct3, (2 << 2) | order, { rd: this.target(), rs1 }));
    const storeAt = (at: number): Instruction =>
      wide(rType(0x2f, funct3, (3 << 2) | order, { rd: this.target(), rs1: at, rs2: this.register() }));
    const store = wide(sType(0x23, this.random(4), pick(this.random, [0, 4, 64]), { rs1, rs2: this.register() }));
    const elsewhere = [wide(iType(0x13, 0, 16, { rd: 10, rs1 })), storeAt(10)];
    return pick(this.random, [
      [reserve, storeAt(rs1)],
      [storeAt(rs1)],
      [reserve, storeAt(rs1), storeAt(rs1)],
      [reserve, store, storeAt(rs1)],
      [reserve, ...elsewhere, storeAt(rs1)],
    ]);
  }

  private rounding(): number {
    return pick(this.random, [7, 7, 7, 0, 1, 2, 3, 4]);
  }

  private float(): Instruction[] {
    const format = this.random(2);
    const registers = { rd: this.register(), rs1: this.register(), rs2: this.register() };
    const operation = (
      funct5: number,
      funct3: number,
      operands: { rd?: number; rs1?: number; rs2?: number },
    ): Instruction[] => [wide(rType(0x53, funct3, (funct5 << 2) | format, operands))];
    switch (this.random(10)) {
      case 0:
        return operation(11, this.rounding(), { ...registers, rs2: 0 });
      case 1:
        return operation(4, this.random(3), registers);
      case 2:
        return operation(5, this.random(2), registers);
      case 3:
        return operation(8, this.rounding(), { ...registers, rs2: format ^ 1 });
      case 4:
        return operation(20, this.random(3), { ...registers, rd: this.target() });
      case 5:
        return operation(24, this.rounding(), { ...registers, rd: this.target(), rs2: this.random(4) });
      case 6:
        return operation(26, this.rounding(), { ...registers, rs2: this.random(4) });
      case 7:
        return operation(28, this.random(2), { rd: this.target(), rs1: registers.rs1 });
      case 8:
        return operation(30, 0, { rd: registers.rd, rs1: registers.rs1 });
      default:
        return operation(this.random(4), this.rounding(), registers);
    }
  }

  /** Arithmetic on fresh operands (random results soon are all NaN), whose result and flags go into the hash. */
  hashedFloat(): Instruction[] {
    const load = (rd: number): Instruction => wide(iType(0x07, 3, this.random(511) * 8 - 2048, { rd, rs1: BASE }));
    const toHash = [
      wide(iType(0x13, 1, 5, { rd: 11, rs1: HASH })),
      wide(rType(0x33, 0, 0, { rd: HASH, rs1: HASH, rs2: 11 })),
      wide(rType(0x33, 4, 0, { rd: HASH, rs1: HASH, rs2: 10 })),
    ];
    const flags = [wide(iType(0x73, 1, 1, { rd: 10 })), wide(rType(0x33, 4, 0, { rd: HASH, rs1: HASH, rs2: 10 }))];
    return [load(1), load(2), load(3), ...this.floatIntoX10(), ...toHash, ...flags];
  }

  private floatIntoX10(): Instruction[] {
    const format = this.random(2);
    const move = wide(rType(0x53, 0, 0x71, { rd: 10, rs1: 4 }));
    const arithmetic = (opcode: number, funct5: number, rs2: number, rounding = this.rounding()): Instruction[] => [
      wide(rType(opcode, rounding, (funct5 << 2) | format, { rd: 4, rs1: 1, rs2 })),
      move,
    ];
    switch (this.random(9)) {
      case 0:
        return arithmetic(0x53, 8, format ^ 1);
      case 1:
        return arithmetic(0x53, 11, 0);
      case 2:
        return [wide(rType(0x53, this.rounding(), (24 << 2) | format, { rd: 10, rs1: 1, rs2: this.random(4) }))];
      case 3:
        return [wide(rType(0x53, this.random(3), (20 << 2) | format, { rd: 10, rs1: 1, rs2: 2 }))];
      case 4:
        return arithmetic(0x53, 5, 2, this.random(2));
      case 5:
      case 6:
        return arithmetic(pick(this.random, [0x43, 0x47, 0x4b, 0x4f]), 3, 2);
      default:
        return arithmetic(0x53, this.random(4), 2);
    }
  }

  private fused(): Instruction[] {
    const funct7 = (this.register() << 2) | this.random(2);
    const operands = { rd: this.register(), rs1: this.register(), rs2: this.register() };
    return [wide(rType(pick(this.random, [0x43, 0x47, 0x4b, 0x4f]), this.rounding(), funct7, operands))];
  }

  /** All forms of access to fflags, and valid modes into frm and fcsr: what user mode has of CSRs. */
  private floatRegister(): Instruction[] {
    const rd = this.target();
    const frm = wide(iType(0x73, 5, 2, { rd, rs1: this.random(5) }));
    const read = wide(iType(0x73, 2, pick(this.random, [1, 2, 3]), { rd }));
    const fflags = wide(iType(0x73, pick(this.random, [1, 2, 3, 5, 6, 7]), 1, { rd, rs1: this.register() }));
    const clear = wide(iType(0x73, 7, 2, { rd, rs1: this.random(8) })); // of 0 to 4 it leaves a valid mode
    const both = [
      wide(iType(0x13, 0, this.random(160), { rd: 10 })),
      wide(iType(0x73, pick(this.random, [1, 3]), 3, { rd, rs1: 10 })),
    ];
    return pick(this.random, [[frm], [read], [fflags], [fflags], [clear], both]);
  }

  private notZero(): number {
    return this.target() || this.notZero();
  }

  /** Any kind of fence: sets, fence.tso, pause, fields to be ignored. */
  private fence(): Instruction[] {
    const fields = (this.random(0x1000) << 20) | (this.random(32) << 15) | (this.random(32) << 7);
    return [
      wide(pick(this.random, [0x0ff0000f, 0x0000100f, 0x8330000f, 0x0100000f, 0x000f | fields, 0x100f | fields])),
    ];
  }

  /** What the specification reserves for hints: it does nothing, in the short forms as well. And sp there and back. */
  private hint(): Instruction[] {
    const imm6 = (this.random(2) << 12) | (this.random(32) << 2);
    const rs2 = (1 + this.random(31)) << 2;
    const far = 16 * (1 + this.random(31));
    return pick(this.random, [
      [narrow(0x0001 | imm6)],
      [narrow(0x4001 | imm6)],
      [narrow(0x6001 | rs2)],
      [narrow(0x0002 | imm6)],
      [narrow(0x8002 | rs2)],
      [narrow(0x9002 | rs2)],
      [narrow(this.stackStep(far)), ...this.compressed(), narrow(this.stackStep(-far))],
      [narrow(this.stackStep(-far)), ...this.compressed(), narrow(this.stackStep(far))],
    ]);
  }

  /** c.addi16sp */
  private stackStep(d: number): number {
    const low = (((d >> 4) & 1) << 6) | (((d >> 6) & 1) << 5) | (((d >> 7) & 3) << 3) | (((d >> 5) & 1) << 2);
    return 0x6101 | (((d >> 9) & 1) << 12) | low;
  }

  private compressed(): Instruction[] {
    const rd = this.notZero();
    const rs2 = 1 + this.random(31);
    const short = pick(
      this.random,
      SHORT_REGISTERS.filter((one) => !this.held.includes(8 + one)),
    );
    const other = this.random(8);
    const base = COMPRESSED_BASE - 8;
    const imm6 = ((this.random(2) << 12) | (this.random(32) << 2)) >>> 0;
    const field = (this.random(8) << 10) | (this.random(4) << 5);
    const sp = (this.random(2) << 12) | (this.random(32) << 2);
    return [
      narrow(
        pick(this.random, [
          0x0000 | ((1 + this.random(255)) << 5) | (short << 2), // c.addi4spn
          0x2000 | field | (base << 7) | (other << 2),
          0x4000 | field | (base << 7) | (short << 2),
          0x6000 | field | (base << 7) | (short << 2),
          0xa000 | field | (base << 7) | (other << 2),
          0xc000 | field | (base << 7) | (other << 2),
          0xe000 | field | (base << 7) | (other << 2),
          0x0001 | imm6 | (rd << 7),
          0x2001 | imm6 | (rd << 7),
          0x4001 | imm6 | (rd << 7),
          0x6001 | (rd << 7) | ((1 + this.random(31)) << 2),
          0x7001 | (rd << 7) | (this.random(32) << 2), // c.lui of negative numbers
          0x8001 | imm6 | (short << 7),
          0x8401 | imm6 | (short << 7),
          0x8801 | imm6 | (short << 7),
          0x8c01 | (this.random(4) << 5) | (short << 7) | (other << 2),
          0x9c01 | (this.random(2) << 5) | (short << 7) | (other << 2),
          0x0002 | imm6 | (rd << 7),
          0x2002 | sp | (this.register() << 7),
          0x4002 | sp | (rd << 7),
          0x6002 | sp | (rd << 7),
          0x8002 | (rd << 7) | (rs2 << 2),
          0x9002 | (rd << 7) | (rs2 << 2),
          0xa002 | (this.random(64) << 7) | (rs2 << 2),
          0xc002 | (this.random(64) << 7) | (rs2 << 2),
          0xe002 | (this.random(64) << 7) | (rs2 << 2),
        ]),
      ),
    ];
  }

  straight(): Instruction[] {
    switch (this.random(18)) {
      case 0:
      case 1:
      case 16:
      case 17:
        return this.integerRegister();
      case 2:
        return this.integerImmediate();
      case 3:
        return this.upper();
      case 4:
        return this.memory();
      case 5:
        return this.computedAddress();
      case 6:
        return this.atomic();
      case 7:
      case 8:
        return this.float();
      case 9:
        return this.random(2) === 0 ? this.fused() : this.hashedFloat();
      case 10:
        return this.random(3) === 0 ? this.floatRegister() : this.integerImmediate();
      case 11:
        return this.random(8) === 0 ? this.fence() : this.random(4) === 0 ? this.hint() : this.integerRegister();
      default:
        return this.compressed();
    }
  }

  any(): Instruction[] {
    // Results are soon overwritten: many go into the hash before that.
    if (this.random(3) === 0) return [wide(rType(0x33, 0, 0x20, { rd: HASH, rs1: this.last, rs2: HASH }))];
    return this.random(6) === 0 ? this.controlFlow.any() : this.straight();
  }
}
