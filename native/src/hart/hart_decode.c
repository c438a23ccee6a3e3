/* Decodes one 32-bit instruction. Branches and jumps come out in their far form; the page turns them into near ones. */
#include "hart_internal.h"
#include <string.h>

static uint32_t funct3(uint32_t word) { return word >> 12 & 7; }
static uint32_t funct7(uint32_t word) { return word >> 25; }
static int32_t immediate_i(uint32_t word) { return (int32_t)word >> 20; }
static int32_t immediate_s(uint32_t word) { return ((int32_t)(word & 0xfe000000) >> 20) | (int32_t)(word >> 7 & 31); }
static int32_t immediate_b(uint32_t word) {
  return ((int32_t)(word & 0x80000000) >> 19) | (int32_t)((word & 0x80) << 4 | (word >> 20 & 0x7e0) | (word >> 7 & 0x1e));
}
static int32_t immediate_j(uint32_t word) {
  return ((int32_t)(word & 0x80000000) >> 11) | (int32_t)((word & 0xff000) | (word >> 9 & 0x800) | (word >> 20 & 0x7fe));
}

/* An integer result in x0 is no result. */
static void set_computation(struct operation *o, uint32_t opcode) { o->opcode = o->rd == 0 ? OP_NOP : opcode; }

static void decode_load(uint32_t word, struct operation *o) {
  static const uint16_t opcodes[8] = {OP_LB, OP_LH, OP_LW, OP_LD, OP_LBU, OP_LHU, OP_LWU, OP_ILLEGAL};
  o->immediate = immediate_i(word);
  o->opcode = opcodes[funct3(word)];
  if (o->rd != 0 || o->opcode == OP_ILLEGAL) return;
  o->opcode = OP_LOAD_ZERO;
  o->rs2 = (uint8_t)(1u << (funct3(word) & 3));
}

static void decode_store(uint32_t word, struct operation *o) {
  static const uint16_t opcodes[8] = {OP_SB, OP_SH, OP_SW, OP_SD, OP_ILLEGAL, OP_ILLEGAL, OP_ILLEGAL, OP_ILLEGAL};
  o->immediate = immediate_s(word);
  o->opcode = opcodes[funct3(word)];
}

/*
 * The place of RVV 1.0, which the second hart of a PE is to have: OP-V here (arithmetic and vsetvl), and vector loads and stores
 * among those of floating point. Until then all of them are illegal, mstatus.VS is read-only zero, and misa has no V.
 */
static void decode_vector(uint32_t word, struct operation *o) { (void)word, o->opcode = OP_ILLEGAL; }

static void decode_float_memory(uint32_t word, struct operation *o) {
  bool store = (word & 0x20) != 0;
  o->immediate = store ? immediate_s(word) : immediate_i(word);
  if (funct3(word) == 2) o->opcode = store ? OP_FSW : OP_FLW;
  else if (funct3(word) == 3) o->opcode = store ? OP_FSD : OP_FLD;
  else decode_vector(word, o); /* widths 0, 5, 6 and 7; 1 and 4 are nobody's */
}

static void decode_immediate(uint32_t word, struct operation *o) {
  static const uint16_t opcodes[8] = {OP_ADDI, OP_SLLI, OP_SLTI, OP_SLTIU, OP_XORI, OP_SRLI, OP_ORI, OP_ANDI};
  uint32_t opcode = opcodes[funct3(word)];
  o->immediate = immediate_i(word);
  if (opcode == OP_SLLI || opcode == OP_SRLI) {
    uint32_t upper = word >> 26;
    if (opcode == OP_SRLI && upper == 0x10) opcode = OP_SRAI;
    else if (upper != 0) return;
    o->immediate &= 63;
  }
  set_computation(o, opcode == OP_ADDI && o->rs1 == 0 ? OP_LI : opcode);
}

static void decode_immediate_word(uint32_t word, struct operation *o) {
  o->immediate = immediate_i(word);
  switch (funct7(word) << 3 | funct3(word)) {
    case 1: o->immediate &= 31; set_computation(o, OP_SLLIW); return;
    case 5: o->immediate &= 31; set_computation(o, OP_SRLIW); return;
    case 0x105: o->immediate &= 31; set_computation(o, OP_SRAIW); return;
    default: if (funct3(word) == 0) set_computation(o, OP_ADDIW);
  }
}

static void decode_register(uint32_t word, struct operation *o) {
  static const uint16_t base[8] = {OP_ADD, OP_SLL, OP_SLT, OP_SLTU, OP_XOR, OP_SRL, OP_OR, OP_AND};
  static const uint16_t multiply[8] = {OP_MUL, OP_MULH, OP_MULHSU, OP_MULHU, OP_DIV, OP_DIVU, OP_REM, OP_REMU};
  switch (funct7(word)) {
    case 0: set_computation(o, base[funct3(word)]); return;
    case 1: set_computation(o, multiply[funct3(word)]); return;
    case 0x20:
      if (funct3(word) == 0) set_computation(o, OP_SUB);
      else if (funct3(word) == 5) set_computation(o, OP_SRA);
      return;
    default: return;
  }
}

static void decode_register_word(uint32_t word, struct operation *o) {
  switch (funct7(word) << 3 | funct3(word)) {
    case 0x000: set_computation(o, OP_ADDW); return;
    case 0x001: set_computation(o, OP_SLLW); return;
    case 0x005: set_computation(o, OP_SRLW); return;
    case 0x008: set_computation(o, OP_MULW); return;
    case 0x00c: set_computation(o, OP_DIVW); return;
    case 0x00d: set_computation(o, OP_DIVUW); return;
    case 0x00e: set_computation(o, OP_REMW); return;
    case 0x00f: set_computation(o, OP_REMUW); return;
    case 0x100: set_computation(o, OP_SUBW); return;
    case 0x105: set_computation(o, OP_SRAW); return;
    default: return;
  }
}

static void decode_branch(uint32_t word, struct operation *o) {
  static const uint16_t opcodes[8] = {OP_BEQ_FAR, OP_BNE_FAR, OP_ILLEGAL, OP_ILLEGAL, OP_BLT_FAR, OP_BGE_FAR, OP_BLTU_FAR, OP_BGEU_FAR};
  o->immediate = immediate_b(word);
  o->opcode = opcodes[funct3(word)];
}

static void decode_atomic(uint32_t word, struct operation *o) {
  static const uint32_t known = 0x1111111f; /* bit per funct5: amoadd, amoswap, lr, sc, xor, or, and, min, max, minu, maxu */
  uint32_t funct5 = word >> 27;
  if (funct3(word) != 2 && funct3(word) != 3) return;
  if ((known >> funct5 & 1) == 0 || (funct5 == 2 && o->rs2 != 0)) return;
  o->opcode = OP_ATOMIC;
}

/* The fast path rounds to nearest: immediate = bits of fcsr that must be clear for it. */
static bool fast_rounding(uint32_t word, struct operation *o) {
  o->immediate = funct3(word) == 7 ? 0xe0 : 0;
  return funct3(word) == 7 || funct3(word) == 0;
}

static void decode_float(uint32_t word, struct operation *o) {
  static const uint16_t single[4] = {OP_FADD_S, OP_FSUB_S, OP_FMUL_S, OP_FDIV_S};
  static const uint16_t wide[4] = {OP_FADD_D, OP_FSUB_D, OP_FMUL_D, OP_FDIV_D};
  if (!hart_float_encoding_valid(word)) return;
  o->opcode = OP_FLOAT;
  uint32_t format = funct7(word) & 3, operation = funct7(word) >> 2;
  if (operation < 4 && fast_rounding(word, o)) o->opcode = format == 0 ? single[operation] : wide[operation];
}

static void decode_fused(uint32_t word, struct operation *o) {
  static const uint16_t single[4] = {OP_FMADD_S, OP_FMSUB_S, OP_FNMSUB_S, OP_FNMADD_S};
  static const uint16_t wide[4] = {OP_FMADD_D, OP_FMSUB_D, OP_FNMSUB_D, OP_FNMADD_D};
  if (!hart_float_encoding_valid(word)) return;
  uint32_t operation = word >> 2 & 3;
  o->opcode = OP_FLOAT;
  if (!fast_rounding(word, o)) return;
  o->opcode = (word >> 25 & 3) == 0 ? single[operation] : wide[operation];
  o->immediate |= (int32_t)(word >> 27 << 8); /* rs3 */
}

static void decode_system(uint32_t word, struct operation *o) {
  if (funct3(word) == 4) return;
  if (funct3(word) != 0) o->opcode = OP_CSR;
  else if (word == 0x00000073) o->opcode = OP_ECALL;
  else if (word == 0x00100073) o->opcode = OP_EBREAK;
  else if (word == 0x30200073) o->opcode = OP_MRET;
  else if (word == 0x10500073) o->opcode = OP_WFI;
}

static void decode_jump(uint32_t word, struct operation *o) {
  o->immediate = immediate_j(word);
  o->opcode = o->rd == 0 ? OP_JUMP_FAR : OP_JAL_FAR;
}

void hart_decode(uint32_t word, struct operation *o) {
  memset(o, 0, sizeof *o);
  o->opcode = OP_ILLEGAL;
  o->rd = (uint8_t)(word >> 7 & 31);
  o->rs1 = (uint8_t)(word >> 15 & 31);
  o->rs2 = (uint8_t)(word >> 20 & 31);
  if ((word & 3) != 3) return;
  switch (word & 0x7f) {
    case 0x03: decode_load(word, o); return;
    case 0x07: case 0x27: decode_float_memory(word, o); return;
    case 0x0b: o->opcode = OP_CUSTOM; return;
    case 0x2b: o->opcode = OP_CUSTOM_PLAIN; return;
    case 0x0f: o->opcode = funct3(word) == 0 ? OP_FENCE : funct3(word) == 1 ? OP_FENCE_I : OP_ILLEGAL; return;
    case 0x13: decode_immediate(word, o); return;
    case 0x17: o->immediate = (int32_t)(word & 0xfffff000); set_computation(o, OP_AUIPC); return;
    case 0x1b: decode_immediate_word(word, o); return;
    case 0x23: decode_store(word, o); return;
    case 0x2f: decode_atomic(word, o); return;
    case 0x33: decode_register(word, o); return;
    case 0x37: o->immediate = (int32_t)(word & 0xfffff000); set_computation(o, OP_LI); return;
    case 0x3b: decode_register_word(word, o); return;
    case 0x43: case 0x47: case 0x4b: case 0x4f: decode_fused(word, o); return;
    case 0x53: decode_float(word, o); return;
    case 0x57: decode_vector(word, o); return;
    case 0x63: decode_branch(word, o); return;
    case 0x67: if (funct3(word) == 0) o->opcode = OP_JALR, o->immediate = immediate_i(word); return;
    case 0x6f: decode_jump(word, o); return;
    case 0x73: decode_system(word, o); return;
    default: return;
  }
}
