/*
 * IEEE 754-2008 binary32 and binary64 in integer arithmetic, as the F and D extensions want them: all five rounding modes,
 * tininess after rounding, canonical NaNs. Bits go in and out in the low end of a uint64_t, without NaN-boxing.
 */
#ifndef MTIA_HART_FLOAT_H
#define MTIA_HART_FLOAT_H
#include <stdbool.h>
#include <stdint.h>

enum float_rounding { ROUND_NEAREST_EVEN, ROUND_TO_ZERO, ROUND_DOWN, ROUND_UP, ROUND_NEAREST_MAGNITUDE };
enum float_flag { FLAG_INEXACT = 1, FLAG_UNDERFLOW = 2, FLAG_OVERFLOW = 4, FLAG_DIVIDE_BY_ZERO = 8, FLAG_INVALID = 16 };

struct float_format { int fraction_bits, exponent_bits; };
extern const struct float_format float_single, float_double;

/* What an operation needs to know and what it leaves behind. */
struct float_context { const struct float_format *format; uint32_t rounding, flags; };

uint64_t float_add(struct float_context *context, uint64_t a, uint64_t b);
uint64_t float_multiply(struct float_context *context, uint64_t a, uint64_t b);
uint64_t float_divide(struct float_context *context, uint64_t a, uint64_t b);
uint64_t float_square_root(struct float_context *context, uint64_t a);
uint64_t float_multiply_add(struct float_context *context, uint64_t a, uint64_t b, uint64_t c);
uint64_t float_negate(const struct float_format *format, uint64_t a);
uint64_t float_canonical_nan(const struct float_format *format);
/* -0 is less than +0 for minimum and maximum. */
uint64_t float_minimum(struct float_context *context, uint64_t a, uint64_t b, bool maximum);
enum float_comparison { COMPARE_LESS_OR_EQUAL, COMPARE_LESS, COMPARE_EQUAL };
bool float_compare(struct float_context *context, uint64_t a, uint64_t b, enum float_comparison comparison);
uint32_t float_classify(const struct float_format *format, uint64_t a);
/* Integers of 32 or 64 bits; 32-bit results are sign-extended, unsigned ones too. */
uint64_t float_to_integer(struct float_context *context, uint64_t a, bool is_signed, bool wide);
uint64_t float_from_integer(struct float_context *context, uint64_t value, bool is_signed, bool wide);
/* From another format into the context's. */
uint64_t float_convert(struct float_context *context, const struct float_format *from, uint64_t a);

#endif
