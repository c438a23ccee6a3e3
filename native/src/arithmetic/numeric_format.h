/*
 * Number formats of the chip, one value at a time: the definition that every faster loop is held to (docs/numerics.md).
 * Values of FP16 and BF16 travel as their 16 bits.
 */
#ifndef MTIA_NUMERIC_FORMAT_H
#define MTIA_NUMERIC_FORMAT_H
#include <stdint.h>
#include <string.h>

#define FP32_CANONICAL_NAN 0x7fc00000u
#define FP16_CANONICAL_NAN 0x7e00u
#define BF16_CANONICAL_NAN 0x7fc0u

static inline uint32_t fp32_bits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

static inline float fp32_of_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static inline uint32_t fp32_bits_are_nan(uint32_t bits) { return (bits & 0x7fffffffu) > 0x7f800000u; }

/* Every NaN becomes the one NaN that the chip stores. */
static inline float fp32_canonical(float value) {
  return fp32_bits_are_nan(fp32_bits(value)) ? fp32_of_bits(FP32_CANONICAL_NAN) : value;
}

/* A denormal becomes zero of its sign. */
static inline float fp32_flush(float value) {
  const uint32_t bits = fp32_bits(value);
  return (bits & 0x7f800000u) == 0 ? fp32_of_bits(bits & 0x80000000u) : value;
}

static inline float fp32_of_bf16(uint16_t bits) { return fp32_of_bits((uint32_t)bits << 16); }

/* Round to nearest even; overflow gives infinity; denormals stay. */
static inline uint16_t bf16_of_fp32(float value) {
  const uint32_t bits = fp32_bits(value);
  if (fp32_bits_are_nan(bits)) return BF16_CANONICAL_NAN;
  return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

/* Exact: FP32 holds every FP16 value, the denormals as normals. */
static inline float fp32_of_fp16(uint16_t half) {
  const uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
  const uint32_t magnitude = half & 0x7fffu;
  if (magnitude >= 0x7c00u) return fp32_of_bits(sign | 0x7f800000u | ((magnitude & 0x3ffu) << 13));
  if (magnitude >= 0x0400u) return fp32_of_bits(sign | ((magnitude << 13) + (112u << 23)));
  const float denormal = (float)magnitude * 0x1p-24f;
  return fp32_of_bits(sign | fp32_bits(denormal));
}

/* Round to nearest even; overflow gives infinity; denormals stay. */
static inline uint16_t fp16_of_fp32(float value) {
  const uint32_t bits = fp32_bits(value);
  const uint16_t sign = (uint16_t)((bits >> 16) & 0x8000u);
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return FP16_CANONICAL_NAN;
  if (magnitude >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u); /* 65520 and more round to infinity */
  if (magnitude >= 0x38800000u) {
    const uint32_t rounded = magnitude + 0x0fffu + ((magnitude >> 13) & 1u);
    return (uint16_t)(sign | ((rounded - (112u << 23)) >> 13));
  }
  /* Below 2^-14 the result is a multiple of 2^-24; adding 0.5 makes the FP32 adder round at exactly that bit. */
  const float shifted = fp32_of_bits(magnitude) + 0.5f;
  return (uint16_t)(sign | (fp32_bits(shifted) - 0x3f000000u));
}

/* Round to nearest even, saturating; NaN gives zero. */
static inline int32_t int32_of_fp32(float value) {
  if (!(value == value)) return 0;
  if (value >= 0x1p31f) return INT32_MAX;
  if (value < -0x1p31f) return INT32_MIN;
  /* From 2^23 on a float has no fraction; below, adding and subtracting 2^52 in double rounds to nearest even. */
  const double wide = (double)value;
  const double magic = wide < 0 ? -0x1p52 : 0x1p52;
  return (int32_t)((wide + magic) - magic);
}

static inline int8_t int8_of_fp32(float value) {
  const int32_t wide = int32_of_fp32(value);
  return (int8_t)(wide > 127 ? 127 : wide < -128 ? -128 : wide);
}

#endif
