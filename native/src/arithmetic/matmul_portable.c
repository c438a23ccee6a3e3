/*
 * The reference of the dot-product engine, in plain C: what docs/numerics.md says, and fast enough to live with.
 *
 * A fused multiply-add of two widened 16-bit factors is computed in double: the product is exact there (22 bits at most).
 * Where the sum is not exact in 53 bits, one addend lies more than 28 binary places below the other, which itself is
 * representable in FP32; the nearest midpoint of two FP32 values is 25 places below it, so rounding twice cannot go wrong.
 */
#include "matmul.h"
#include <math.h>
#include "numeric_format.h"

#define K_ELEMENTS 32 /* 16-bit elements in 64 bytes */

/* Smallest magnitude that rounds (24 bits, any exponent) to a normal FP32 value. What lies below is flushed. */
#define SMALLEST_KEPT (0x1p-126 - 0x1p-151)

typedef float widen_function(uint16_t bits);

static float widen_bf16(uint16_t bits) { return fp32_flush(fp32_of_bf16(bits)); }
static float widen_fp16(uint16_t bits) { return fp32_of_fp16(bits); }

static inline float add_flushed(float a, float b) { return fp32_flush(fp32_flush(a) + fp32_flush(b)); }

static uint16_t load16(const uint8_t *at) {
  uint16_t bits;
  memcpy(&bits, at, sizeof bits);
  return bits;
}

static void chain_step(float chain[MATMUL_COLUMNS], float a, const float b[MATMUL_COLUMNS]) {
  for (uint32_t n = 0; n < MATMUL_COLUMNS; n++) {
    const double exact = (double)a * (double)b[n] + (double)chain[n];
    const float rounded = (float)exact;
    const float zero = fp32_of_bits(fp32_bits(rounded) & 0x80000000u);
    chain[n] = fabs(exact) < SMALLEST_KEPT ? zero : rounded;
  }
}

static void float_row(float *accumulator, const float *a, const float (*b)[MATMUL_COLUMNS], uint32_t k, uint32_t n) {
  float even[MATMUL_COLUMNS] = {0}, odd[MATMUL_COLUMNS] = {0};
  for (uint32_t i = 0; i < k; i += 2) {
    chain_step(even, a[i], b[i]);
    chain_step(odd, a[i + 1], b[i + 1]);
  }
  for (uint32_t column = 0; column < n; column++)
    accumulator[column] = add_flushed(accumulator[column], add_flushed(even[column], odd[column]));
}

static void float_matmul(union accumulator *accumulator, const struct matmul_operands *operands, widen_function *widen) {
  const uint32_t k = operands->k_bytes / 2;
  for (uint32_t block = 0; block < operands->blocks; block++) {
    const uint8_t *b_bytes = operands->b + (uint64_t)block * (operands->k_bytes / 4) * MATMUL_B_ROW_BYTES;
    float b[K_ELEMENTS][MATMUL_COLUMNS];
    for (uint32_t i = 0; i < k; i++)
      for (uint32_t n = 0; n < MATMUL_COLUMNS; n++)
        b[i][n] = widen(load16(b_bytes + (i / 2) * MATMUL_B_ROW_BYTES + n * 4 + (i % 2) * 2));
    for (uint32_t row = 0; row < operands->m; row++) {
      const uint8_t *a_bytes = operands->a[row] + (uint64_t)block * operands->k_bytes;
      float a[K_ELEMENTS];
      for (uint32_t i = 0; i < k; i++) a[i] = widen(load16(a_bytes + i * 2));
      float_row(accumulator->fp32[row], a, (const float(*)[MATMUL_COLUMNS])b, k, operands->n);
    }
  }
}

static void bf16_portable(union accumulator *accumulator, const struct matmul_operands *operands) {
  float_matmul(accumulator, operands, widen_bf16);
}

static void fp16_portable(union accumulator *accumulator, const struct matmul_operands *operands) {
  float_matmul(accumulator, operands, widen_fp16);
}

static void int8_portable(union accumulator *accumulator, const struct matmul_operands *operands) {
  const uint32_t k_bytes = operands->k_bytes * operands->blocks;
  for (uint32_t row = 0; row < operands->m; row++) {
    /* Unsigned, because INT32 sums wrap around. */
    uint32_t sum[MATMUL_COLUMNS];
    memcpy(sum, accumulator->int32[row], sizeof sum);
    for (uint32_t k = 0; k < k_bytes; k++) {
      const int32_t a = (int8_t)operands->a[row][k];
      const uint8_t *b = operands->b + (uint64_t)(k / 4) * MATMUL_B_ROW_BYTES + k % 4;
      for (uint32_t n = 0; n < MATMUL_COLUMNS; n++) sum[n] += (uint32_t)(a * (int8_t)b[n * 4]);
    }
    memcpy(accumulator->int32[row], sum, operands->n * sizeof sum[0]);
  }
}

const struct matmul_path matmul_portable = {"portable", int8_portable, fp16_portable, bf16_portable};
