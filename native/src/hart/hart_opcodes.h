/*
 * Operations of the decoded code. Lists, so that the enumeration, the table of handlers and the handlers cannot disagree.
 *
 * Each handler of an integer result leaves it in a host register as well (the accumulator). An operation that reads the
 * register written last uses the accumulator instead of x[]: a chain of dependent instructions then runs at the latency of
 * the host's registers, not of its store buffer. Variants: _A = rs1 is the accumulator, _B = rs2 is the accumulator.
 */
#ifndef MTIA_HART_OPCODES_H
#define MTIA_HART_OPCODES_H

#define HART_SIGN_32(v) ((uint64_t)(int64_t)(int32_t)(uint32_t)(v))

/* rd = f(a = rs1, b = rs2); variants _A, _B */
#define HART_REGISTER_OPERATIONS(X)                                                             \
  X(ADD, a + b)                                                                                 \
  X(SUB, a - b)                                                                                 \
  X(SLL, a << (b & 63))                                                                         \
  X(SLT, (uint64_t)((int64_t)a < (int64_t)b))                                                   \
  X(SLTU, (uint64_t)(a < b))                                                                    \
  X(XOR, a ^ b)                                                                                 \
  X(SRL, a >> (b & 63))                                                                         \
  X(SRA, (uint64_t)((int64_t)a >> (b & 63)))                                                    \
  X(OR, a | b)                                                                                  \
  X(AND, a & b)                                                                                 \
  X(ADDW, HART_SIGN_32(a + b))                                                                  \
  X(SUBW, HART_SIGN_32(a - b))                                                                  \
  X(SLLW, HART_SIGN_32((uint32_t)a << (b & 31)))                                                \
  X(SRLW, HART_SIGN_32((uint32_t)a >> (b & 31)))                                                \
  X(SRAW, HART_SIGN_32((int32_t)(uint32_t)a >> (b & 31)))                                       \
  X(MUL, a * b)                                                                                 \
  X(MULW, HART_SIGN_32((uint32_t)a * (uint32_t)b))                                              \
  X(MULH, hart_multiply_high(a, b))                                                             \
  X(MULHSU, hart_multiply_high_mixed(a, b))                                                     \
  X(MULHU, (uint64_t)(((unsigned __int128)a * b) >> 64))                                        \
  X(DIV, hart_divide(a, b))                                                                     \
  X(DIVU, b == 0 ? ~0ull : a / b)                                                               \
  X(REM, hart_remainder(a, b))                                                                  \
  X(REMU, b == 0 ? a : a % b)                                                                   \
  X(DIVW, hart_divide_word((uint32_t)a, (uint32_t)b))                                           \
  X(DIVUW, (uint32_t)b == 0 ? ~0ull : HART_SIGN_32((uint32_t)a / (uint32_t)b))                  \
  X(REMW, hart_remainder_word((uint32_t)a, (uint32_t)b))                                        \
  X(REMUW, HART_SIGN_32((uint32_t)b == 0 ? (uint32_t)a : (uint32_t)a % (uint32_t)b))

/* rd = f(a = rs1, imm); variant _A */
#define HART_IMMEDIATE_OPERATIONS(X)                                                            \
  X(ADDI, a + imm)                                                                              \
  X(SLTI, (uint64_t)((int64_t)a < (int64_t)imm))                                                \
  X(SLTIU, (uint64_t)(a < imm))                                                                 \
  X(XORI, a ^ imm)                                                                              \
  X(ORI, a | imm)                                                                               \
  X(ANDI, a & imm)                                                                              \
  X(SLLI, a << (imm & 63))                                                                      \
  X(SRLI, a >> (imm & 63))                                                                      \
  X(SRAI, (uint64_t)((int64_t)a >> (imm & 63)))                                                 \
  X(ADDIW, HART_SIGN_32(a + imm))                                                               \
  X(SLLIW, HART_SIGN_32((uint32_t)a << (imm & 31)))                                             \
  X(SRLIW, HART_SIGN_32((uint32_t)a >> (imm & 31)))                                             \
  X(SRAIW, HART_SIGN_32((int32_t)(uint32_t)a >> (imm & 31)))

/* name, host type that the value is read through, result of the value v; variant _A = base is the accumulator */
#define HART_LOADS(X)                                                                           \
  X(LB, uint8_t, (uint64_t)(int64_t)(int8_t)v)                                                  \
  X(LH, uint16_t, (uint64_t)(int64_t)(int16_t)v)                                                \
  X(LW, uint32_t, HART_SIGN_32(v))                                                              \
  X(LD, uint64_t, v)                                                                            \
  X(LBU, uint8_t, v)                                                                            \
  X(LHU, uint16_t, v)                                                                           \
  X(LWU, uint32_t, v)

/* variants _A = base is the accumulator, _B = data is the accumulator */
#define HART_STORES(X) X(SB, uint8_t) X(SH, uint16_t) X(SW, uint32_t) X(SD, uint64_t)

#define HART_FLOAT_LOADS(X) X(FLW, uint32_t, v | 0xffffffff00000000u) X(FLD, uint64_t, v)
#define HART_FLOAT_STORES(X) X(FSW, uint32_t) X(FSD, uint64_t)

/* condition; variants: near (target is an operation of the page), near _A (rs1 is the accumulator), far (any target) */
#define HART_BRANCHES(X)                                                                        \
  X(BEQ, a == b)                                                                                \
  X(BNE, a != b)                                                                                \
  X(BLT, (int64_t)a < (int64_t)b)                                                               \
  X(BGE, (int64_t)a >= (int64_t)b)                                                              \
  X(BLTU, a < b)                                                                                \
  X(BGEU, a >= b)

/* Arithmetic that the host computes as RISC-V does while rounding to nearest: name, C type, expression of a, b and c. */
#define HART_FAST_FLOAT(X)                                                                      \
  X(FADD_S, single, a + b)                                                                      \
  X(FSUB_S, single, a - b)                                                                      \
  X(FMUL_S, single, a * b)                                                                      \
  X(FDIV_S, single, a / b)                                                                      \
  X(FADD_D, double, a + b)                                                                      \
  X(FSUB_D, double, a - b)                                                                      \
  X(FMUL_D, double, a * b)                                                                      \
  X(FDIV_D, double, a / b)
/* Fused multiply-add: name, C type, signs of the product and of the addend. */
#define HART_FAST_FUSED(X)                                                                      \
  X(FMADD_S, single, , )                                                                        \
  X(FMSUB_S, single, , -)                                                                       \
  X(FNMSUB_S, single, -, )                                                                      \
  X(FNMADD_S, single, -, -)                                                                     \
  X(FMADD_D, double, , )                                                                        \
  X(FMSUB_D, double, , -)                                                                       \
  X(FNMSUB_D, double, -, )                                                                      \
  X(FNMADD_D, double, -, -)

/* Single operations without variants. */
#define HART_OTHER_OPERATIONS(X)                                                                \
  X(PAGE_END)      /* go on at the next page */                                                 \
  X(OFF_STREAM)    /* this halfword is no start of an instruction in this decoding */           \
  X(CROSS_PAGE)    /* four-byte instruction whose second half lies in the next page */          \
  X(ILLEGAL)                                                                                    \
  X(NOP)                                                                                        \
  X(LI)            /* rd = imm */                                                               \
  X(AUIPC)         /* rd = page + imm */                                                        \
  X(JUMP_NEAR)                                                                                  \
  X(JUMP_FAR)                                                                                   \
  X(JAL_NEAR)                                                                                   \
  X(JAL_FAR)                                                                                    \
  X(JALR)                                                                                       \
  X(LOAD_ZERO)     /* load into x0: only the access counts; rs2 = width */                      \
  X(FENCE)                                                                                      \
  X(FENCE_I)                                                                                    \
  X(ATOMIC)                                                                                     \
  X(FLOAT)         /* everything of F and D that has no handler of its own */                   \
  X(CSR)                                                                                        \
  X(ECALL)                                                                                      \
  X(EBREAK)                                                                                     \
  X(MRET)                                                                                       \
  X(WFI)                                                                                        \
  X(CUSTOM)                                                                                     \
  X(CUSTOM_PLAIN)  /* custom-1 */

/*
 * Pairs of neighbours that compilers emit often, run by one handler (macro-op fusion): kind and name of the first and the
 * second. Kinds: R = registers, I = immediate, L = load, S = store, B = branch; with _A, _B for the variants. Both operations keep
 * their place in the stream, so a jump to the second one finds it.
 */
#define HART_FUSED_PAIRS(X)                                                                     \
  /* zero extension, index of an array */                                                       \
  X(I, SLLI, I_A, SRLI) X(I_A, SLLI, I_A, SRLI) X(I_A, SRLI, R_A, ADD) X(I, SLLI, R_A, ADD)     \
  X(I_A, SLLI, R_A, ADD) X(R_A, ADD, I, ADDIW) X(R, ADD, L_A, LW) X(R, ADD, L_A, LD)            \
  X(R, ADD, L_A, LBU) X(R_A, ADD, L_A, LW) X(R_A, ADD, L_A, LD) X(R_A, ADD, L_A, LBU)           \
  X(R_A, ADD, L_A, LWU) X(R, SUBW, I_A, SLLI) X(L, LW, I_A, SLLI) X(I, ADDIW, L, LW)            \
  /* ends of loops */                                                                           \
  X(I, ADDI, B, BNE) X(I, ADDI, B_A, BNE) X(I, ADDIW, B, BNE) X(I, ADDIW, B_A, BNE)             \
  X(I, ADDI, B, BLTU) X(I, ADDI, B_A, BLTU) X(I, ADDIW, B, BLTU) X(I, ADDIW, B_A, BLTU)         \
  X(I, ADDI, B, BLT) X(I, ADDIW, B, BLT) X(I, ADDIW, B_A, BLT) X(R_A, ADDW, B, BNE)             \
  /* pointers that step together */                                                             \
  X(I, ADDI, I, ADDI) X(I, ADDIW, I, ADDIW) X(I, ADDI, I, ADDIW) X(I, ADDIW, I, ADDI)           \
  X(L, LW, L, LW) X(L, LD, L, LD) X(S, SD, S, SD) X(L, LW, I, ADDI) X(L, LD, I, ADDI)           \
  X(L, LBU, I, ADDI) X(S, SW, I, ADDI) X(S, SD, I, ADDI) X(I, ADDI, S, SW) X(I, ADDI, S, SD)    \
  /* loaded and tested at once */                                                               \
  X(L, LW, B_A, BNE) X(L, LW, B_A, BEQ) X(L, LD, B_A, BNE) X(L, LD, B_A, BEQ)                   \
  X(L, LBU, B_A, BNE) X(L, LBU, B_A, BEQ) X(L, LW, B, BNE)                                      \
  /* arithmetic */                                                                              \
  X(R, MULW, R_A, ADDW) X(R, MUL, R_A, ADD) X(I_A, ANDI, R_B, SUBW) X(I, SRLIW, R, AND)         \
  X(R, AND, R_A, XOR) X(R_A, XOR, I, ADDIW) X(R, ADD, R, ADD) X(I, ANDI, B_A, BNE) X(I, ANDI, B_A, BEQ)

#define HART_ENUM_FUSED(kind1, name1, kind2, name2) OP_##kind1##_##name1##__##kind2##_##name2,
#define HART_ENUM_1(name, ...) OP_##name,
#define HART_ENUM_A(name, ...) OP_##name, OP_##name##_A,
#define HART_ENUM_AB(name, ...) OP_##name, OP_##name##_A, OP_##name##_B,
#define HART_ENUM_BRANCH(name, ...) OP_##name, OP_##name##_A, OP_##name##_FAR,

enum hart_opcode {
  HART_REGISTER_OPERATIONS(HART_ENUM_AB)
  HART_IMMEDIATE_OPERATIONS(HART_ENUM_A)
  HART_LOADS(HART_ENUM_A)
  HART_STORES(HART_ENUM_AB)
  HART_FLOAT_LOADS(HART_ENUM_A)
  HART_FLOAT_STORES(HART_ENUM_A)
  HART_BRANCHES(HART_ENUM_BRANCH)
  HART_FAST_FLOAT(HART_ENUM_1)
  HART_FAST_FUSED(HART_ENUM_1)
  HART_OTHER_OPERATIONS(HART_ENUM_1)
  HART_FUSED_PAIRS(HART_ENUM_FUSED)
  OP_COUNT
};

#endif
