/* Floating point in integers. A finite number is significand * 2^(exponent - 63), its leading one in bit 63. */
#include "hart_float.h"

const struct float_format float_single = {23, 8}, float_double = {52, 11};

typedef unsigned __int128 wide;
enum kind { ZERO, FINITE, INFINITE, QUIET, SIGNALING };
struct number { enum kind kind; bool negative; int exponent; uint64_t significand; };

static int exponent_mask(const struct float_format *f) { return (1 << f->exponent_bits) - 1; }
static int bias(const struct float_format *f) { return exponent_mask(f) >> 1; }
static uint64_t fraction_mask(const struct float_format *f) { return (1ull << f->fraction_bits) - 1; }
static uint64_t sign_bit(const struct float_format *f) { return 1ull << (f->fraction_bits + f->exponent_bits); }
static uint64_t infinity(const struct float_format *f, bool negative) {
  return (uint64_t)exponent_mask(f) << f->fraction_bits | (negative ? sign_bit(f) : 0);
}
static uint64_t zero(const struct float_format *f, bool negative) { return negative ? sign_bit(f) : 0; }

uint64_t float_canonical_nan(const struct float_format *f) { return infinity(f, false) | 1ull << (f->fraction_bits - 1); }
uint64_t float_negate(const struct float_format *f, uint64_t a) { return a ^ sign_bit(f); }

static struct number unpack(const struct float_format *f, uint64_t bits) {
  uint64_t fraction = bits & fraction_mask(f);
  int exponent = (int)(bits >> f->fraction_bits) & exponent_mask(f), room = 63 - f->fraction_bits;
  struct number n = {FINITE, (bits & sign_bit(f)) != 0, exponent - bias(f), (fraction | 1ull << f->fraction_bits) << room};
  if (exponent == exponent_mask(f)) {
    n.kind = fraction == 0 ? INFINITE : fraction >> (f->fraction_bits - 1) ? QUIET : SIGNALING;
  } else if (exponent == 0 && fraction == 0) {
    n.kind = ZERO;
  } else if (exponent == 0) {
    int shift = __builtin_clzll(fraction);
    n.significand = fraction << shift;
    n.exponent = 1 - bias(f) + room - shift;
  }
  return n;
}

static bool is_nan(struct number n) { return n.kind >= QUIET; }

static uint64_t invalid(struct float_context *c) {
  c->flags |= FLAG_INVALID;
  return float_canonical_nan(c->format);
}

/* The NaN that comes out where one went in. */
static uint64_t propagate(struct float_context *c, struct number a, struct number b) {
  if (a.kind == SIGNALING || b.kind == SIGNALING) c->flags |= FLAG_INVALID;
  return float_canonical_nan(c->format);
}

/* Shifts right; a lost one stays visible in the lowest bit. */
static uint64_t jam(uint64_t value, int shift) {
  if (shift <= 0) return value;
  if (shift > 63) return value != 0;
  return value >> shift | ((value & ((1ull << shift) - 1)) != 0);
}
static wide jam_wide(wide value, int shift) {
  if (shift <= 0) return value;
  if (shift > 127) return value != 0;
  return value >> shift | ((value & (((wide)1 << shift) - 1)) != 0);
}

/* Whether cutting the lowest bits off asks for one more in the last place. */
static bool rounds_up(uint32_t rounding, bool negative, uint64_t significand, int cut) {
  uint64_t rest = significand & ((1ull << cut) - 1), half = 1ull << (cut - 1);
  switch (rounding) {
    case ROUND_NEAREST_EVEN: return rest > half || (rest == half && (significand >> cut & 1));
    case ROUND_NEAREST_MAGNITUDE: return rest >= half;
    case ROUND_DOWN: return negative && rest != 0;
    case ROUND_UP: return !negative && rest != 0;
    default: return false;
  }
}

static uint64_t overflow(struct float_context *c, bool negative) {
  bool to_infinity = c->rounding == ROUND_NEAREST_EVEN || c->rounding == ROUND_NEAREST_MAGNITUDE ||
                     c->rounding == (negative ? ROUND_DOWN : ROUND_UP);
  c->flags |= FLAG_OVERFLOW | FLAG_INEXACT;
  return infinity(c->format, negative) - !to_infinity;
}

/* Rounds a number whose lowest significand bit may stand for anything below it. */
static uint64_t pack(struct float_context *c, bool negative, int exponent, uint64_t significand) {
  const struct float_format *f = c->format;
  int cut = 63 - f->fraction_bits, lowest = 1 - bias(f);
  uint64_t ones = ~0ull >> cut;
  bool tiny = exponent < lowest - 1;
  if (exponent == lowest - 1) { /* may still become the smallest normal number when rounded without a bound */
    tiny = significand >> cut != ones || !rounds_up(c->rounding, negative, significand, cut);
  }
  if (exponent < lowest) significand = jam(significand, lowest - exponent);
  bool inexact = (significand & ((1ull << cut) - 1)) != 0;
  uint64_t rounded = (significand >> cut) + rounds_up(c->rounding, negative, significand, cut);
  if (inexact) c->flags |= FLAG_INEXACT | (tiny ? FLAG_UNDERFLOW : 0);
  /* The implicit one, or the carry into it, adds one to the exponent field. */
  uint64_t field = exponent < lowest ? 0 : (uint64_t)(exponent + bias(f) - 1);
  uint64_t bits = (field << f->fraction_bits) + rounded;
  if (exponent > bias(f) || bits >= infinity(f, false)) return overflow(c, negative);
  return bits | zero(f, negative);
}

/* a and b: leading one in bit 126 or nothing at all; the result is rounded. */
static uint64_t add_wide(struct float_context *c, bool a_negative, int a_exponent, wide a, bool b_negative, int b_exponent, wide b) {
  if (b_exponent > a_exponent || (b_exponent == a_exponent && b > a)) {
    return add_wide(c, b_negative, b_exponent, b, a_negative, a_exponent, a);
  }
  b = jam_wide(b, a_exponent - b_exponent);
  wide sum = a_negative == b_negative ? a + b : a - b;
  if (sum == 0) return zero(c->format, c->rounding == ROUND_DOWN);
  uint64_t high = (uint64_t)(sum >> 64);
  int shift = high != 0 ? __builtin_clzll(high) : 64 + __builtin_clzll((uint64_t)sum);
  sum <<= shift;
  return pack(c, a_negative, a_exponent + 1 - shift, (uint64_t)(sum >> 64) | ((uint64_t)sum != 0));
}

static uint64_t repack(struct float_context *c, struct number a) { return pack(c, a.negative, a.exponent, a.significand); }

uint64_t float_add(struct float_context *c, uint64_t a_bits, uint64_t b_bits) {
  struct number a = unpack(c->format, a_bits), b = unpack(c->format, b_bits);
  if (is_nan(a) || is_nan(b)) return propagate(c, a, b);
  if (a.kind == INFINITE && b.kind == INFINITE && a.negative != b.negative) return invalid(c);
  if (a.kind == INFINITE) return a_bits;
  if (b.kind == INFINITE) return b_bits;
  if (a.kind == ZERO && b.kind == ZERO) {
    return zero(c->format, a.negative == b.negative ? a.negative : c->rounding == ROUND_DOWN);
  }
  if (a.kind == ZERO) return b_bits;
  if (b.kind == ZERO) return a_bits;
  return add_wide(c, a.negative, a.exponent, (wide)a.significand << 63, b.negative, b.exponent, (wide)b.significand << 63);
}

uint64_t float_multiply(struct float_context *c, uint64_t a_bits, uint64_t b_bits) {
  struct number a = unpack(c->format, a_bits), b = unpack(c->format, b_bits);
  bool negative = a.negative != b.negative;
  if (is_nan(a) || is_nan(b)) return propagate(c, a, b);
  if ((a.kind == INFINITE && b.kind == ZERO) || (a.kind == ZERO && b.kind == INFINITE)) return invalid(c);
  if (a.kind == INFINITE || b.kind == INFINITE) return infinity(c->format, negative);
  if (a.kind == ZERO || b.kind == ZERO) return zero(c->format, negative);
  wide product = (wide)a.significand * b.significand;
  int shift = (int)(product >> 127) ^ 1;
  product <<= shift;
  return pack(c, negative, a.exponent + b.exponent + 1 - shift, (uint64_t)(product >> 64) | ((uint64_t)product != 0));
}

uint64_t float_divide(struct float_context *c, uint64_t a_bits, uint64_t b_bits) {
  struct number a = unpack(c->format, a_bits), b = unpack(c->format, b_bits);
  bool negative = a.negative != b.negative;
  if (is_nan(a) || is_nan(b)) return propagate(c, a, b);
  if (a.kind == b.kind && a.kind != FINITE) return invalid(c);
  if (a.kind == INFINITE) return infinity(c->format, negative);
  if (b.kind == ZERO) {
    c->flags |= FLAG_DIVIDE_BY_ZERO;
    return infinity(c->format, negative);
  }
  if (a.kind == ZERO || b.kind == INFINITE) return zero(c->format, negative);
  bool below = a.significand < b.significand; /* then the quotient starts one bit lower */
  wide dividend = (wide)a.significand << (below ? 64 : 63);
  uint64_t quotient = (uint64_t)(dividend / b.significand);
  quotient |= dividend % b.significand != 0;
  return pack(c, negative, a.exponent - b.exponent - below, quotient);
}

uint64_t float_square_root(struct float_context *c, uint64_t a_bits) {
  struct number a = unpack(c->format, a_bits);
  if (is_nan(a)) return propagate(c, a, a);
  if (a.kind == ZERO) return a_bits;
  if (a.negative) return invalid(c);
  if (a.kind == INFINITE) return a_bits;
  bool odd = a.exponent & 1;
  wide rest = (wide)a.significand << (odd ? 64 : 63), root = 0;
  for (wide bit = (wide)1 << 126; bit != 0; bit >>= 2) { /* one bit of the root a step, as by hand */
    if (rest >= root + bit) {
      rest -= root + bit;
      root = (root >> 1) + bit;
    } else {
      root >>= 1;
    }
  }
  return pack(c, false, (a.exponent - odd) / 2, (uint64_t)root | (rest != 0));
}

uint64_t float_multiply_add(struct float_context *c, uint64_t a_bits, uint64_t b_bits, uint64_t c_bits) {
  struct number a = unpack(c->format, a_bits), b = unpack(c->format, b_bits), addend = unpack(c->format, c_bits);
  bool negative = a.negative != b.negative;
  bool undefined = (a.kind == INFINITE && b.kind == ZERO) || (a.kind == ZERO && b.kind == INFINITE);
  if (a.kind == SIGNALING || b.kind == SIGNALING || undefined) c->flags |= FLAG_INVALID;
  if (is_nan(a) || is_nan(b) || is_nan(addend)) return propagate(c, addend, addend);
  if (undefined) return float_canonical_nan(c->format);
  if (a.kind == INFINITE || b.kind == INFINITE) {
    if (addend.kind == INFINITE && addend.negative != negative) return invalid(c);
    return infinity(c->format, negative);
  }
  if (addend.kind == INFINITE) return c_bits;
  if (a.kind == ZERO || b.kind == ZERO) return float_add(c, zero(c->format, negative), c_bits);
  wide product = (wide)a.significand * b.significand; /* exact: at least 22 low bits are zero */
  int carry = (int)(product >> 127), exponent = a.exponent + b.exponent + carry;
  product >>= carry;
  if (addend.kind == ZERO) return pack(c, negative, exponent, (uint64_t)(product >> 63) | ((product << 65) != 0));
  return add_wide(c, negative, exponent, product, addend.negative, addend.exponent, (wide)addend.significand << 63);
}

/* Order of bits as order of numbers, -0 below +0. */
static int64_t ordered(const struct float_format *f, uint64_t bits) {
  int64_t magnitude = (int64_t)(bits & (sign_bit(f) - 1));
  return bits & sign_bit(f) ? -magnitude - 1 : magnitude;
}

uint64_t float_minimum(struct float_context *c, uint64_t a_bits, uint64_t b_bits, bool maximum) {
  struct number a = unpack(c->format, a_bits), b = unpack(c->format, b_bits);
  if (a.kind == SIGNALING || b.kind == SIGNALING) c->flags |= FLAG_INVALID;
  if (is_nan(a)) return is_nan(b) ? float_canonical_nan(c->format) : b_bits;
  if (is_nan(b)) return a_bits;
  bool a_first = ordered(c->format, a_bits) <= ordered(c->format, b_bits);
  return a_first != maximum ? a_bits : b_bits;
}

bool float_compare(struct float_context *c, uint64_t a_bits, uint64_t b_bits, enum float_comparison comparison) {
  struct number a = unpack(c->format, a_bits), b = unpack(c->format, b_bits);
  if (is_nan(a) || is_nan(b)) {
    bool signals = comparison != COMPARE_EQUAL || a.kind == SIGNALING || b.kind == SIGNALING;
    c->flags |= signals ? FLAG_INVALID : 0;
    return false;
  }
  bool equal = a_bits == b_bits || (a.kind == ZERO && b.kind == ZERO);
  bool less = !equal && ordered(c->format, a_bits) < ordered(c->format, b_bits);
  return comparison == COMPARE_EQUAL ? equal : comparison == COMPARE_LESS ? less : less || equal;
}

uint32_t float_classify(const struct float_format *f, uint64_t bits) {
  struct number a = unpack(f, bits);
  bool subnormal = a.kind == FINITE && a.exponent < 1 - bias(f);
  switch (a.kind) {
    case INFINITE: return a.negative ? 1 << 0 : 1 << 7;
    case FINITE: return a.negative ? (subnormal ? 1 << 2 : 1 << 1) : (subnormal ? 1 << 5 : 1 << 6);
    case ZERO: return a.negative ? 1 << 3 : 1 << 4;
    case SIGNALING: return 1 << 8;
    default: return 1 << 9;
  }
}

/* The magnitude rounded to an integer, for exponents below 64. Sets *carry where it rounds up to 2^64. */
static uint64_t integer_magnitude(struct float_context *c, struct number a, bool *inexact, bool *carry) {
  wide fixed = jam_wide((wide)a.significand << 64, 127 - 64 - a.exponent); /* 64 bits of integer, 64 of fraction */
  uint64_t integer = (uint64_t)(fixed >> 64), fraction = (uint64_t)fixed;
  /* rounds_up wants integer and fraction in one word: two bits of fraction and its parity say all. */
  uint64_t brief = (integer & 1) << 2 | fraction >> 63 << 1 | ((fraction << 1) != 0);
  bool up = rounds_up(c->rounding, a.negative, brief, 2);
  *inexact = fraction != 0;
  *carry = up && integer == ~0ull;
  return integer + up;
}

uint64_t float_to_integer(struct float_context *c, uint64_t bits, bool is_signed, bool is_wide) {
  struct number a = unpack(c->format, bits);
  uint64_t most = is_wide ? ~0ull >> is_signed : (uint64_t)(~0u >> is_signed);
  uint64_t least = is_signed ? most + 1 : 0; /* magnitude of the smallest number */
  bool below = a.negative && !is_nan(a), inexact = false, carry = false;
  uint64_t magnitude = 0;
  bool huge = a.kind >= INFINITE || (a.kind == FINITE && a.exponent > 63);
  if (a.kind == FINITE && !huge) magnitude = integer_magnitude(c, a, &inexact, &carry);
  if (huge || carry || magnitude > (below ? least : most)) {
    c->flags |= FLAG_INVALID;
    magnitude = below ? least : most;
  } else if (inexact) {
    c->flags |= FLAG_INEXACT;
  }
  uint64_t value = below ? 0 - magnitude : magnitude;
  return is_wide ? value : (uint64_t)(int64_t)(int32_t)(uint32_t)value;
}

uint64_t float_from_integer(struct float_context *c, uint64_t value, bool is_signed, bool is_wide) {
  if (!is_wide) value = is_signed ? (uint64_t)(int64_t)(int32_t)(uint32_t)value : (uint32_t)value;
  bool negative = is_signed && (int64_t)value < 0;
  uint64_t magnitude = negative ? 0 - value : value;
  if (magnitude == 0) return 0;
  int shift = __builtin_clzll(magnitude);
  return pack(c, negative, 63 - shift, magnitude << shift);
}

uint64_t float_convert(struct float_context *c, const struct float_format *from, uint64_t bits) {
  struct number a = unpack(from, bits);
  switch (a.kind) {
    case FINITE: return repack(c, a);
    case ZERO: return zero(c->format, a.negative);
    case INFINITE: return infinity(c->format, a.negative);
    default: return propagate(c, a, a);
  }
}
