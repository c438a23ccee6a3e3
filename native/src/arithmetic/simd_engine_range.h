/*
 * Smallest and largest of a row of FP32 values. The order is that of IEEE 754 totally taken (-0 below +0), so the result does
 * not depend on the order in which values are looked at, and a compiler may take many at a time: one body for every path.
 */
#ifndef MTIA_SIMD_ENGINE_RANGE_H
#define MTIA_SIMD_ENGINE_RANGE_H
#include "numeric_format.h"

/* As integers: a key is ordered as the value is; magnitude is the bits without the sign, above infinity where one is a NaN. */
struct se_range { int32_t minimum, maximum, magnitude; };

#define SE_RANGE_OF_NOTHING ((struct se_range){.minimum = INT32_MAX, .maximum = INT32_MIN, .magnitude = 0})

/* Its own inverse. */
static inline int32_t fp32_key(int32_t bits) { return bits ^ (int32_t)((uint32_t)(bits >> 31) >> 1); }

static inline __attribute__((always_inline)) void se_range_extend(struct se_range *range, const float *values, uint32_t count) {
  int32_t minimum = range->minimum, maximum = range->maximum, magnitude = range->magnitude;
  for (uint32_t i = 0; i < count; i++) {
    const int32_t bits = (int32_t)fp32_bits(values[i]), key = fp32_key(bits), absolute = bits & INT32_MAX;
    minimum = key < minimum ? key : minimum;
    maximum = key > maximum ? key : maximum;
    magnitude = absolute > magnitude ? absolute : magnitude;
  }
  *range = (struct se_range){.minimum = minimum, .maximum = maximum, .magnitude = magnitude};
}

/* A NaN among the values is the result, whichever of the three is asked for. */
static inline float se_range_value(const struct se_range *range, int32_t bits) {
  return fp32_bits_are_nan((uint32_t)range->magnitude) ? fp32_of_bits(FP32_CANONICAL_NAN) : fp32_of_bits((uint32_t)bits);
}
static inline float se_range_minimum(const struct se_range *range) { return se_range_value(range, fp32_key(range->minimum)); }
static inline float se_range_maximum(const struct se_range *range) { return se_range_value(range, fp32_key(range->maximum)); }
static inline float se_range_magnitude(const struct se_range *range) { return se_range_value(range, range->magnitude); }

#endif
