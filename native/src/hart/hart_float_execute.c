/* Instructions of F and D that are not worth a handler in the loop, and every rounding mode but to nearest. */
#include "hart_internal.h"
#include "hart_float.h"
#include "hart_host_float.h"

enum { ADD = 0, SUBTRACT = 1, MULTIPLY = 2, DIVIDE = 3, SIGN = 4, MINIMUM = 5, CONVERT_FLOAT = 8, SQUARE_ROOT = 11, COMPARE = 20,
       TO_INTEGER = 24, FROM_INTEGER = 26, MOVE_TO_X = 28, MOVE_FROM_X = 30 };
enum { DYNAMIC = 7 };

static uint32_t field(uint32_t word, int low, int width) { return word >> low & ((1u << width) - 1); }

static bool rounding_valid(uint32_t rounding) { return rounding <= ROUND_NEAREST_MAGNITUDE || rounding == DYNAMIC; }

bool hart_float_encoding_valid(uint32_t word) {
  uint32_t rounding = field(word, 12, 3), format = field(word, 25, 2), rs2 = field(word, 20, 5);
  if (format > 1) return false;
  if ((word & 0x7f) != 0x53) return rounding_valid(rounding);
  switch (word >> 27) {
    case ADD: case SUBTRACT: case MULTIPLY: case DIVIDE: return rounding_valid(rounding);
    case SQUARE_ROOT: return rs2 == 0 && rounding_valid(rounding);
    case SIGN: case COMPARE: return rounding <= 2;
    case MINIMUM: return rounding <= 1;
    case CONVERT_FLOAT: return rs2 == (format ^ 1) && rounding_valid(rounding);
    case TO_INTEGER: case FROM_INTEGER: return rs2 <= 3 && rounding_valid(rounding);
    case MOVE_TO_X: return rs2 == 0 && rounding <= 1;
    case MOVE_FROM_X: return rs2 == 0 && rounding == 0;
    default: return false;
  }
}

/* A single that is not NaN-boxed counts as the canonical NaN. */
static uint64_t unboxed(const struct hart *hart, uint32_t i, const struct float_format *format) {
  if (format == &float_double) return hart->f[i];
  return hart->f[i] >> 32 == 0xffffffff ? (uint32_t)hart->f[i] : float_canonical_nan(format);
}

static void set_float(struct hart *hart, uint32_t rd, uint64_t value, const struct float_format *format) {
  hart->f[rd] = format == &float_double ? value : value | 0xffffffff00000000u;
}

static void set_integer(struct hart *hart, uint32_t rd, uint64_t value) {
  if (rd != 0) hart->x[rd] = value;
}

static uint64_t copy_sign(const struct float_format *format, uint64_t a, uint64_t b, uint32_t form) {
  uint64_t sign = format == &float_double ? 1ull << 63 : 1ull << 31;
  uint64_t from = form == 0 ? b : form == 1 ? ~b : a ^ b;
  return (a & ~sign) | (from & sign);
}

static uint64_t fused(const struct hart *hart, struct float_context *c, uint32_t word, uint64_t a, uint64_t b) {
  uint64_t addend = unboxed(hart, word >> 27, c->format);
  uint32_t form = field(word, 2, 2); /* madd, msub, nmsub, nmadd */
  if (form >= 2) a = float_negate(c->format, a);
  if (form == 1 || form == 3) addend = float_negate(c->format, addend);
  return float_multiply_add(c, a, b, addend);
}

/* Instructions with a float result from floats. */
static uint64_t arithmetic(const struct hart *hart, struct float_context *c, uint32_t word, uint64_t a, uint64_t b) {
  if ((word & 0x7f) != 0x53) return fused(hart, c, word, a, b);
  switch (word >> 27) {
    case ADD: return float_add(c, a, b);
    /* A NaN with its sign turned stays the same kind of NaN. */
    case SUBTRACT: return float_add(c, a, float_negate(c->format, b));
    case MULTIPLY: return float_multiply(c, a, b);
    case DIVIDE: return float_divide(c, a, b);
    case SQUARE_ROOT: return float_square_root(c, a);
    case SIGN: return copy_sign(c->format, a, b, field(word, 12, 3));
    default: return float_minimum(c, a, b, field(word, 12, 3) == 1);
  }
}

static uint64_t convert_float(const struct hart *hart, struct float_context *c, uint32_t rs1) {
  const struct float_format *from = c->format == &float_single ? &float_double : &float_single;
  return float_convert(c, from, unboxed(hart, rs1, from));
}

static uint64_t move_to_x(const struct hart *hart, struct float_context *c, uint32_t word, uint64_t a) {
  if (field(word, 12, 3) == 1) return float_classify(c->format, a);
  uint64_t bits = hart->f[field(word, 15, 5)];
  return c->format == &float_double ? bits : HART_SIGN_32(bits);
}

static void execute(struct hart *hart, struct float_context *c, uint32_t word) {
  uint32_t rd = field(word, 7, 5), rs1 = field(word, 15, 5), rs2 = field(word, 20, 5);
  uint64_t a = unboxed(hart, rs1, c->format), b = unboxed(hart, rs2, c->format);
  uint32_t operation = (word & 0x7f) == 0x53 ? word >> 27 : ADD;
  bool is_signed = (rs2 & 1) == 0, is_wide = (rs2 & 2) != 0;
  switch (operation) {
    case CONVERT_FLOAT: set_float(hart, rd, convert_float(hart, c, rs1), c->format); return;
    case COMPARE: set_integer(hart, rd, float_compare(c, a, b, (enum float_comparison)field(word, 12, 3))); return;
    case TO_INTEGER: set_integer(hart, rd, float_to_integer(c, a, is_signed, is_wide)); return;
    case FROM_INTEGER: set_float(hart, rd, float_from_integer(c, hart->x[rs1], is_signed, is_wide), c->format); return;
    case MOVE_TO_X: set_integer(hart, rd, move_to_x(hart, c, word, a)); return;
    case MOVE_FROM_X: set_float(hart, rd, c->format == &float_double ? hart->x[rs1] : (uint32_t)hart->x[rs1], c->format); return;
    default: set_float(hart, rd, arithmetic(hart, c, word, a, b), c->format); return;
  }
}

static bool rounds(uint32_t word) {
  if ((word & 0x7f) != 0x53) return true;
  uint32_t operation = word >> 27;
  return operation <= DIVIDE || operation == SQUARE_ROOT || operation == CONVERT_FLOAT || operation == TO_INTEGER || operation == FROM_INTEGER;
}

bool hart_float_instruction(struct hart *hart, uint32_t word) {
  struct float_context c = {field(word, 25, 2) == 0 ? &float_single : &float_double, field(word, 12, 3), 0};
  if ((hart->mstatus & HART_MSTATUS_FS) == 0) return false;
  if (rounds(word)) {
    if (c.rounding == DYNAMIC) c.rounding = hart->fcsr >> 5 & 7;
    if (c.rounding > ROUND_NEAREST_MAGNITUDE) return false;
  }
  execute(hart, &c, word);
  hart->fcsr |= c.flags;
  return true;
}

#if HART_HOST_FLOAT
__attribute__((target("fma"))) float hart_fma_single(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
__attribute__((target("fma"))) double hart_fma_double(double a, double b, double c) { return __builtin_fma(a, b, c); }
#endif
