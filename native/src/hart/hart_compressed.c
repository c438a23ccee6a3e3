/* Expands compressed instructions (C extension, RV64DC) to the 32-bit instructions they stand for. */
#include "hart_internal.h"

static uint32_t bits(uint32_t word, int high, int low) { return (word >> low) & ((1u << (high - low + 1)) - 1); }
static uint32_t bit(uint32_t word, int at) { return (word >> at) & 1; }
static int32_t sign(uint32_t value, int width) { return (int32_t)(value << (32 - width)) >> (32 - width); }

static uint32_t i_type(uint32_t opcode, uint32_t funct3, uint32_t rd, uint32_t rs1, int32_t immediate) {
  return opcode | rd << 7 | funct3 << 12 | rs1 << 15 | ((uint32_t)immediate & 0xfff) << 20;
}
static uint32_t r_type(uint32_t opcode, uint32_t funct3, uint32_t funct7, uint32_t rd, uint32_t rs1, uint32_t rs2) {
  return opcode | rd << 7 | funct3 << 12 | rs1 << 15 | rs2 << 20 | funct7 << 25;
}
static uint32_t s_type(uint32_t opcode, uint32_t funct3, uint32_t rs1, uint32_t rs2, uint32_t immediate) {
  return opcode | bits(immediate, 4, 0) << 7 | funct3 << 12 | rs1 << 15 | rs2 << 20 | bits(immediate, 11, 5) << 25;
}
static uint32_t branch(uint32_t funct3, uint32_t rs1, int32_t distance) {
  uint32_t d = (uint32_t)distance;
  return 0x63 | bit(d, 11) << 7 | bits(d, 4, 1) << 8 | funct3 << 12 | rs1 << 15 | bits(d, 10, 5) << 25 | bit(d, 12) << 31;
}
static uint32_t jump(int32_t distance) {
  uint32_t d = (uint32_t)distance;
  return 0x6f | bits(d, 19, 12) << 12 | bit(d, 11) << 20 | bits(d, 10, 1) << 21 | bit(d, 20) << 31;
}

enum { LOAD = 0x03, LOAD_FP = 0x07, OP_IMM = 0x13, OP_IMM_32 = 0x1b, STORE = 0x23, STORE_FP = 0x27, OP = 0x33, LUI = 0x37, OP_32 = 0x3b, JALR = 0x67 };

static uint32_t quadrant_0(uint32_t h) {
  uint32_t rd = 8 + bits(h, 4, 2), rs1 = 8 + bits(h, 9, 7);
  uint32_t word = bit(h, 5) << 6 | bits(h, 12, 10) << 3 | bit(h, 6) << 2;
  uint32_t doubleword = bits(h, 6, 5) << 6 | bits(h, 12, 10) << 3;
  switch (bits(h, 15, 13)) {
    case 0: {
      uint32_t immediate = bits(h, 10, 7) << 6 | bits(h, 12, 11) << 4 | bit(h, 5) << 3 | bit(h, 6) << 2;
      return immediate == 0 ? 0 : i_type(OP_IMM, 0, rd, 2, (int32_t)immediate); /* c.addi4spn */
    }
    case 1: return i_type(LOAD_FP, 3, rd, rs1, (int32_t)doubleword);
    case 2: return i_type(LOAD, 2, rd, rs1, (int32_t)word);
    case 3: return i_type(LOAD, 3, rd, rs1, (int32_t)doubleword);
    case 5: return s_type(STORE_FP, 3, rs1, rd, doubleword);
    case 6: return s_type(STORE, 2, rs1, rd, word);
    case 7: return s_type(STORE, 3, rs1, rd, doubleword);
    default: return 0;
  }
}

/* c.srli ... c.addw */
static uint32_t arithmetic(uint32_t h) {
  uint32_t rd = 8 + bits(h, 9, 7), rs2 = 8 + bits(h, 4, 2);
  uint32_t shift = bit(h, 12) << 5 | bits(h, 6, 2);
  switch (bits(h, 11, 10)) {
    case 0: return i_type(OP_IMM, 5, rd, rd, (int32_t)shift);
    case 1: return i_type(OP_IMM, 5, rd, rd, (int32_t)(shift | 0x400));
    case 2: return i_type(OP_IMM, 7, rd, rd, sign(shift, 6));
    default: break;
  }
  switch (bit(h, 12) << 2 | bits(h, 6, 5)) {
    case 0: return r_type(OP, 0, 0x20, rd, rd, rs2);
    case 1: return r_type(OP, 4, 0, rd, rd, rs2);
    case 2: return r_type(OP, 6, 0, rd, rd, rs2);
    case 3: return r_type(OP, 7, 0, rd, rd, rs2);
    case 4: return r_type(OP_32, 0, 0x20, rd, rd, rs2);
    case 5: return r_type(OP_32, 0, 0, rd, rd, rs2);
    default: return 0;
  }
}

/* c.addi16sp, c.lui */
static uint32_t upper(uint32_t h, uint32_t rd) {
  int32_t immediate = sign(bit(h, 12) << 5 | bits(h, 6, 2), 6);
  if (immediate == 0) return 0;
  if (rd != 2) return LUI | rd << 7 | (uint32_t)immediate << 12;
  uint32_t distance = bit(h, 12) << 9 | bits(h, 4, 3) << 7 | bit(h, 5) << 6 | bit(h, 2) << 5 | bit(h, 6) << 4;
  return i_type(OP_IMM, 0, 2, 2, sign(distance, 10));
}

static uint32_t quadrant_1(uint32_t h) {
  uint32_t rd = bits(h, 11, 7);
  int32_t immediate = sign(bit(h, 12) << 5 | bits(h, 6, 2), 6);
  switch (bits(h, 15, 13)) {
    case 0: return i_type(OP_IMM, 0, rd, rd, immediate);
    case 1: return rd == 0 ? 0 : i_type(OP_IMM_32, 0, rd, rd, immediate);
    case 2: return i_type(OP_IMM, 0, rd, 0, immediate);
    case 3: return upper(h, rd);
    case 4: return arithmetic(h);
    case 5: {
      uint32_t d = bit(h, 12) << 11 | bit(h, 8) << 10 | bits(h, 10, 9) << 8 | bit(h, 6) << 7 | bit(h, 7) << 6 | bit(h, 2) << 5 |
                   bit(h, 11) << 4 | bits(h, 5, 3) << 1;
      return jump(sign(d, 12));
    }
    default: {
      uint32_t d = bit(h, 12) << 8 | bits(h, 6, 5) << 6 | bit(h, 2) << 5 | bits(h, 11, 10) << 3 | bits(h, 4, 3) << 1;
      return branch(bit(h, 13), 8 + bits(h, 9, 7), sign(d, 9));
    }
  }
}

/* c.jr, c.mv, c.ebreak, c.jalr, c.add */
static uint32_t jump_or_move(uint32_t h, uint32_t rd, uint32_t rs2) {
  if (rs2 != 0) return r_type(OP, 0, 0, rd, bit(h, 12) ? rd : 0, rs2);
  if (rd != 0) return i_type(JALR, 0, bit(h, 12), rd, 0);
  return bit(h, 12) ? 0x00100073 : 0;
}

static uint32_t quadrant_2(uint32_t h) {
  uint32_t rd = bits(h, 11, 7), rs2 = bits(h, 6, 2);
  uint32_t load_word = bits(h, 3, 2) << 6 | bit(h, 12) << 5 | bits(h, 6, 4) << 2;
  uint32_t load_doubleword = bits(h, 4, 2) << 6 | bit(h, 12) << 5 | bits(h, 6, 5) << 3;
  uint32_t store_word = bits(h, 8, 7) << 6 | bits(h, 12, 9) << 2;
  uint32_t store_doubleword = bits(h, 9, 7) << 6 | bits(h, 12, 10) << 3;
  switch (bits(h, 15, 13)) {
    case 0: return i_type(OP_IMM, 1, rd, rd, (int32_t)(bit(h, 12) << 5 | rs2));
    case 1: return i_type(LOAD_FP, 3, rd, 2, (int32_t)load_doubleword);
    case 2: return rd == 0 ? 0 : i_type(LOAD, 2, rd, 2, (int32_t)load_word);
    case 3: return rd == 0 ? 0 : i_type(LOAD, 3, rd, 2, (int32_t)load_doubleword);
    case 4: return jump_or_move(h, rd, rs2);
    case 5: return s_type(STORE_FP, 3, 2, rs2, store_doubleword);
    case 6: return s_type(STORE, 2, 2, rs2, store_word);
    default: return s_type(STORE, 3, 2, rs2, store_doubleword);
  }
}

uint32_t hart_expand(uint16_t halfword) {
  switch (halfword & 3) {
    case 0: return quadrant_0(halfword);
    case 1: return quadrant_1(halfword);
    default: return quadrant_2(halfword);
  }
}
