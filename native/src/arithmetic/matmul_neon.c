/*
 * The dot-product engine on NEON: the order of docs/numerics.md, four columns at a time.
 *
 * FPCR.FZ flushes what is below 2^-126 before rounding, the chip what is below it after rounding, so the mode stays off and the
 * code flushes. FP16 products are multiples of 2^-48: a chain has no denormals to flush. BF16 products are multiples of the
 * product of the last places of the smallest factors; a block in which that is below 2^-126 goes to the portable code. A sum of
 * two FP32 numbers that is denormal is exact, so flushing it afterwards is right.
 *
 * BFDOT has no place here: without FEAT_EBF16 it rounds to odd, and with it the two products of a pair are added before the sum.
 */
#include "matmul.h"
#if defined(__aarch64__)
#include <arm_neon.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define DOT_PRODUCT __attribute__((target("arch=armv8.2-a+dotprod")))
#define UNROLL _Pragma("GCC unroll 8")
#define ROLLED _Pragma("GCC unroll 1")

#define LANES 4
#define COLUMN_VECTORS (MATMUL_COLUMNS / LANES)
#define TILE_ROWS 4
#define TILE_VECTORS 2

/* Stores the lanes of a vector whose columns are below n. */
#define STORE_COLUMNS(store, at, value, first_column, n, type)                             \
  do {                                                                                     \
    type all_[LANES];                                                                      \
    if ((first_column) + LANES <= (n)) {                                                   \
      store((at), (value));                                                                \
    } else if ((first_column) < (n)) {                                                     \
      store(all_, (value));                                                                \
      memcpy((at), all_, ((n) - (first_column)) * sizeof all_[0]);                         \
    }                                                                                      \
  } while (0)

/* ---- FP16 and BF16: widened to FP32, then fused multiply-adds ---- */

#define K_ELEMENTS 32
enum widening { WIDEN_FP16, WIDEN_BF16 };

INLINE float32x4_t flush(float32x4_t x) {
  const uint32x4_t bits = vreinterpretq_u32_f32(x);
  const uint32x4_t normal = vtstq_u32(bits, vdupq_n_u32(0x7f800000u));
  return vreinterpretq_f32_u32(vandq_u32(bits, vorrq_u32(normal, vdupq_n_u32(0x80000000u))));
}

INLINE float32x4_t widen(uint16x4_t bits, const enum widening widening) {
  if (widening == WIDEN_FP16) return vcvt_f32_f16(vreinterpret_f16_u16(bits));
  return flush(vreinterpretq_f32_u32(vshll_n_u16(bits, 16)));
}

/* The smallest exponent field of the elements that are not zero (or denormal, which is zero), 0xff where all are. */
INLINE uint16x8_t least_of(uint16x8_t least, uint16x8_t bits) {
  const uint16x8_t exponent = vshrq_n_u16(vshlq_n_u16(bits, 1), 8);
  return vminq_u16(least, vorrq_u16(exponent, vceqzq_u16(exponent)));
}

/* Last places of two factors lie 2^-134 below their exponent fields: 2 * 134 - 126. */
#define SMALLEST_SUM_OF_EXPONENTS 142u

/* Whether no product of the block, and so no chain, can be denormal. */
static int chains_stay_normal(const struct matmul_operands *operands, const uint8_t *b, uint32_t block) {
  uint16x8_t least_a = vdupq_n_u16(0xffff), least_b = vdupq_n_u16(0xffff);
  for (uint32_t row = 0; row < operands->m; row++)
    for (uint32_t at = 0; at < operands->k_bytes; at += 16)
      least_a = least_of(least_a, vreinterpretq_u16_u8(vld1q_u8(operands->a[row] + (uint64_t)block * operands->k_bytes + at)));
  for (uint32_t at = 0; at < operands->k_bytes / 4 * MATMUL_B_ROW_BYTES; at += 16)
    least_b = least_of(least_b, vreinterpretq_u16_u8(vld1q_u8(b + at)));
  return (uint32_t)vminvq_u16(least_a) + vminvq_u16(least_b) >= SMALLEST_SUM_OF_EXPONENTS;
}

INLINE void float_tile(float (*accumulator)[MATMUL_COLUMNS], const float (*a)[K_ELEMENTS], const float (*b)[MATMUL_COLUMNS],
                       uint32_t k, const uint32_t rows, uint32_t first, uint32_t n) {
  float32x4_t even[TILE_ROWS][TILE_VECTORS], odd[TILE_ROWS][TILE_VECTORS];
  UNROLL for (uint32_t row = 0; row < rows; row++)
    UNROLL for (uint32_t vector = 0; vector < TILE_VECTORS; vector++) even[row][vector] = odd[row][vector] = vdupq_n_f32(0);
  ROLLED for (uint32_t i = 0; i < k; i += 2)
    UNROLL for (uint32_t vector = 0; vector < TILE_VECTORS; vector++) {
      const float32x4_t b_even = vld1q_f32(&b[i][first + vector * LANES]), b_odd = vld1q_f32(&b[i + 1][first + vector * LANES]);
      UNROLL for (uint32_t row = 0; row < rows; row++) {
        const float32x2_t pair = vld1_f32(&a[row][i]);
        even[row][vector] = vfmaq_lane_f32(even[row][vector], b_even, pair, 0);
        odd[row][vector] = vfmaq_lane_f32(odd[row][vector], b_odd, pair, 1);
      }
    }
  UNROLL for (uint32_t row = 0; row < rows; row++)
    UNROLL for (uint32_t vector = 0; vector < TILE_VECTORS; vector++) {
      const uint32_t column = first + vector * LANES;
      float *const at = &accumulator[row][column];
      const float32x4_t sum = vaddq_f32(flush(vld1q_f32(at)), vaddq_f32(even[row][vector], odd[row][vector]));
      STORE_COLUMNS(vst1q_f32, at, flush(sum), column, n, float);
    }
}

INLINE void float_block(union accumulator *accumulator, const struct matmul_operands *operands, const uint8_t *b_bytes,
                        uint32_t block, const enum widening widening) {
  const uint32_t k_bytes = operands->k_bytes, k = k_bytes / 2, m = operands->m, whole_tiles = m - m % TILE_ROWS;
  float a[MATMUL_ROWS][K_ELEMENTS], b[K_ELEMENTS][MATMUL_COLUMNS];
  for (uint32_t i = 0; i < k; i += 2)
    for (uint32_t column = 0; column < MATMUL_COLUMNS; column += LANES) {
      const uint16x8_t pairs = vreinterpretq_u16_u8(vld1q_u8(b_bytes + i / 2 * MATMUL_B_ROW_BYTES + column * 4));
      vst1q_f32(&b[i][column], widen(vget_low_u16(vuzp1q_u16(pairs, pairs)), widening));
      vst1q_f32(&b[i + 1][column], widen(vget_low_u16(vuzp2q_u16(pairs, pairs)), widening));
    }
  for (uint32_t row = 0; row < m; row++)
    for (uint32_t i = 0; i < k; i += LANES) {
      const uint8x8_t bytes = vld1_u8(operands->a[row] + (uint64_t)block * k_bytes + i * 2);
      vst1q_f32(&a[row][i], widen(vreinterpret_u16_u8(bytes), widening));
    }
  const float(*wide_a)[K_ELEMENTS] = (const float(*)[K_ELEMENTS])a;
  const float(*wide_b)[MATMUL_COLUMNS] = (const float(*)[MATMUL_COLUMNS])b;
  for (uint32_t first = 0; first < operands->n; first += TILE_VECTORS * LANES) {
    for (uint32_t row = 0; row < whole_tiles; row += TILE_ROWS)
      float_tile(&accumulator->fp32[row], wide_a + row, wide_b, k, TILE_ROWS, first, operands->n);
    for (uint32_t row = whole_tiles; row < m; row++)
      float_tile(&accumulator->fp32[row], wide_a + row, wide_b, k, 1, first, operands->n);
  }
}

static void portable_block(union accumulator *accumulator, const struct matmul_operands *operands, const uint8_t *b,
                           uint32_t block) {
  struct matmul_operands one = *operands;
  one.b = b;
  one.blocks = 1;
  for (uint32_t row = 0; row < one.m; row++) one.a[row] += (uint64_t)block * one.k_bytes;
  matmul_portable.bf16(accumulator, &one);
}

INLINE const uint8_t *b_of_block(const struct matmul_operands *operands, uint32_t block) {
  return operands->b + (uint64_t)block * (operands->k_bytes / 4) * MATMUL_B_ROW_BYTES;
}

static void bf16_neon(union accumulator *accumulator, const struct matmul_operands *operands) {
  for (uint32_t block = 0; block < operands->blocks; block++) {
    const uint8_t *const b = b_of_block(operands, block);
    if (chains_stay_normal(operands, b, block))
      float_block(accumulator, operands, b, block, WIDEN_BF16);
    else
      portable_block(accumulator, operands, b, block);
  }
}

static void fp16_neon(union accumulator *accumulator, const struct matmul_operands *operands) {
  for (uint32_t block = 0; block < operands->blocks; block++)
    float_block(accumulator, operands, b_of_block(operands, block), block, WIDEN_FP16);
}

/* ---- INT8: four columns of four bytes of k, times four bytes of A ---- */

INLINE int32x4_t multiply_groups(int32x4_t sum, int8x16_t b, int8x16_t a) {
  /* Products of two bytes fit 16 bits, and pairs of them are added in 32. */
  const int32x4_t left = vpaddlq_s16(vmull_s8(vget_low_s8(b), vget_low_s8(a)));
  const int32x4_t right = vpaddlq_s16(vmull_s8(vget_high_s8(b), vget_high_s8(a)));
  return vaddq_s32(sum, vpaddq_s32(left, right));
}

DOT_PRODUCT INLINE int32x4_t dot_groups(int32x4_t sum, int8x16_t b, int8x16_t a) { return vdotq_s32(sum, b, a); }

/* The same tile with either way to multiply four groups: vdotq_s32 needs its target in every function around it. */
#define DEFINE_INT8(name, attributes, multiply)                                                                        \
  attributes INLINE void name##_tile(int32_t (*accumulator)[MATMUL_COLUMNS], const uint8_t *const *a, uint64_t a_offset, \
                                     const uint8_t *b, uint32_t groups, const uint32_t rows, uint32_t first, uint32_t n) { \
    int32x4_t sum[TILE_ROWS][TILE_VECTORS];                                                                            \
    UNROLL for (uint32_t row = 0; row < rows; row++)                                                                   \
      UNROLL for (uint32_t vector = 0; vector < TILE_VECTORS; vector++) sum[row][vector] = vdupq_n_s32(0);             \
    ROLLED for (uint32_t group = 0; group < groups; group++)                                                           \
      UNROLL for (uint32_t row = 0; row < rows; row++) {                                                               \
        int32_t four;                                                                                                  \
        memcpy(&four, a[row] + a_offset + group * 4, sizeof four);                                                     \
        const int8x16_t factors = vreinterpretq_s8_s32(vdupq_n_s32(four));                                             \
        UNROLL for (uint32_t vector = 0; vector < TILE_VECTORS; vector++)                                              \
          sum[row][vector] = multiply(sum[row][vector],                                                                \
                                      vld1q_s8((const int8_t *)b + group * MATMUL_B_ROW_BYTES +                        \
                                               (first + vector * LANES) * 4),                                          \
                                      factors);                                                                        \
      }                                                                                                                \
    UNROLL for (uint32_t row = 0; row < rows; row++)                                                                   \
      UNROLL for (uint32_t vector = 0; vector < TILE_VECTORS; vector++) {                                              \
        const uint32_t column = first + vector * LANES;                                                                \
        int32_t *const at = &accumulator[row][column];                                                                 \
        STORE_COLUMNS(vst1q_s32, at, vaddq_s32(vld1q_s32(at), sum[row][vector]), column, n, int32_t);                  \
      }                                                                                                                \
  }                                                                                                                    \
  attributes static void name(union accumulator *accumulator, const struct matmul_operands *operands) {                \
    const uint32_t groups = operands->k_bytes / 4, m = operands->m, whole_tiles = m - m % TILE_ROWS;                   \
    for (uint32_t block = 0; block < operands->blocks; block++) {                                                      \
      const uint8_t *const b = b_of_block(operands, block);                                                            \
      const uint64_t offset = (uint64_t)block * operands->k_bytes;                                                     \
      for (uint32_t first = 0; first < operands->n; first += TILE_VECTORS * LANES) {                                   \
        for (uint32_t row = 0; row < whole_tiles; row += TILE_ROWS)                                                    \
          name##_tile(&accumulator->int32[row], operands->a + row, offset, b, groups, TILE_ROWS, first, operands->n);  \
        for (uint32_t row = whole_tiles; row < m; row++)                                                               \
          name##_tile(&accumulator->int32[row], operands->a + row, offset, b, groups, 1, first, operands->n);          \
      }                                                                                                                \
    }                                                                                                                  \
  }
DEFINE_INT8(int8_neon, , multiply_groups)
DEFINE_INT8(int8_neon_dot_product, DOT_PRODUCT, dot_groups)

const struct matmul_path matmul_neon = {"neon", int8_neon, fp16_neon, bf16_neon};
const struct matmul_path matmul_neon_dot_product = {"neon with SDOT", int8_neon_dot_product, fp16_neon, bf16_neon};
#else
typedef int matmul_neon_is_for_aarch64; /* C forbids an empty translation unit */
#endif
