/*
 * The dot-product engine on AVX-512. Each function computes exactly the order of docs/numerics.md: two chains of fused
 * multiply-adds per output, one over the even and one over the odd elements of k, joined at the end of every block.
 */
#include "matmul.h"
#if defined(__x86_64__)
#include <string.h>
#include "matmul_x86.h"

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")))
#define AVX512_BF16 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c,avx512bf16")))
#define TILE_ROWS 4
#define VECTOR_COLUMNS 16

/* Lanes of the two column vectors that are stored. */
struct column_masks { __mmask16 mask[2]; };

INLINE struct column_masks masks_of(uint32_t n) {
  const uint32_t lanes = n >= 32 ? 0xffffffffu : (1u << n) - 1u;
  return (struct column_masks){{(__mmask16)lanes, (__mmask16)(lanes >> 16)}};
}

/* accumulator += even + odd. */
AVX512 INLINE void join_chains(float (*accumulator)[MATMUL_COLUMNS], __m512 even[TILE_ROWS][2], __m512 odd[TILE_ROWS][2],
                               const uint32_t rows, struct column_masks masks) {
  UNROLL for (uint32_t row = 0; row < rows; row++)
    UNROLL for (uint32_t half = 0; half < 2; half++) {
      float *at = &accumulator[row][half * VECTOR_COLUMNS];
      const __m512 block = _mm512_add_ps(even[row][half], odd[row][half]);
      _mm512_mask_storeu_ps(at, masks.mask[half], _mm512_add_ps(_mm512_loadu_ps(at), block));
    }
}

/* ---- BF16 by VDPBF16PS, which adds the product of the high elements first, then that of the low ones ---- */

/* B of one block: [pair of k in a chain][chain][column vector]. */
typedef __m512i bf16_b_block[8][2][2];

/*
 * Rows 2j and 2j+1 of B hold k = 4j, 4j+1 and 4j+2, 4j+3. The even chain wants (high = 4j, low = 4j+2), the odd chain
 * (high = 4j+1, low = 4j+3).
 */
AVX512_BF16 INLINE void bf16_pack_b(bf16_b_block packed, const uint8_t *b, uint32_t pairs) {
  const __mmask32 high = 0xaaaaaaaau;
  for (uint32_t j = 0; j < pairs; j++)
    for (uint32_t half = 0; half < 2; half++) {
      const __m512i first = _mm512_loadu_si512(b + (2 * j) * MATMUL_B_ROW_BYTES + half * 64);
      const __m512i second = _mm512_loadu_si512(b + (2 * j + 1) * MATMUL_B_ROW_BYTES + half * 64);
      packed[j][0][half] = _mm512_mask_blend_epi16(high, second, _mm512_slli_epi32(first, 16));
      packed[j][1][half] = _mm512_mask_blend_epi16(high, _mm512_srli_epi32(second, 16), first);
    }
}

/* The same order for a row of A: every 8 bytes k = 4j..4j+3 become 4j+2, 4j, 4j+3, 4j+1. */
AVX512_BF16 INLINE void bf16_pack_a(uint8_t *packed, const uint8_t *a, uint32_t k_bytes) {
  const __m256i order = _mm256_setr_epi8(4, 5, 0, 1, 6, 7, 2, 3, 12, 13, 8, 9, 14, 15, 10, 11, 4, 5, 0, 1, 6, 7, 2, 3, 12, 13,
                                         8, 9, 14, 15, 10, 11);
  for (uint32_t at = 0; at < k_bytes; at += 32) {
    const __m256i row = _mm256_loadu_si256((const __m256i *)(a + at));
    _mm256_store_si256((__m256i *)(packed + at), _mm256_shuffle_epi8(row, order));
  }
}

AVX512_BF16 INLINE void bf16_tile(float (*accumulator)[MATMUL_COLUMNS], const int32_t (*a)[16], bf16_b_block b,
                                  uint32_t pairs, const uint32_t rows, struct column_masks masks) {
  __m512 even[TILE_ROWS][2], odd[TILE_ROWS][2];
  UNROLL for (uint32_t row = 0; row < rows; row++)
    UNROLL for (uint32_t half = 0; half < 2; half++) even[row][half] = odd[row][half] = _mm512_setzero_ps();
  ROLLED for (uint32_t j = 0; j < pairs; j++)
    UNROLL for (uint32_t row = 0; row < rows; row++) {
      const __m512bh a_even = (__m512bh)_mm512_set1_epi32(a[row][2 * j]);
      const __m512bh a_odd = (__m512bh)_mm512_set1_epi32(a[row][2 * j + 1]);
      UNROLL for (uint32_t half = 0; half < 2; half++) {
        even[row][half] = _mm512_dpbf16_ps(even[row][half], a_even, (__m512bh)b[j][0][half]);
        odd[row][half] = _mm512_dpbf16_ps(odd[row][half], a_odd, (__m512bh)b[j][1][half]);
      }
    }
  join_chains(accumulator, even, odd, rows, masks);
}

/*
 * One row, as in a request for one sample: B is used once, so it is reordered in registers, and A is broadcast as it lies.
 * The accumulator stays in registers from block to block.
 */
AVX512_BF16 static void bf16_dot_row(float *accumulator, const struct matmul_operands *operands) {
  const struct column_masks masks = masks_of(operands->n);
  const uint32_t pairs = operands->k_bytes / 8;
  const uint8_t *a = operands->a[0], *b = operands->b;
  const __mmask32 high = 0xaaaaaaaau;
  __m512 sum[2] = {_mm512_loadu_ps(accumulator), _mm512_loadu_ps(accumulator + VECTOR_COLUMNS)};
  for (uint32_t block = 0; block < operands->blocks; block++) {
    __m512 even[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()}, odd[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
    for (uint32_t j = 0; j < pairs; j++, a += 8, b += 2 * MATMUL_B_ROW_BYTES) {
      uint64_t four; /* k = 4j..4j+3, the lowest first */
      memcpy(&four, a, sizeof four);
      const uint32_t a_first = (uint32_t)four, a_second = (uint32_t)(four >> 32);
      const __m512bh a_even = (__m512bh)_mm512_set1_epi32((int)(a_first << 16 | (a_second & 0xffff)));
      const __m512bh a_odd = (__m512bh)_mm512_set1_epi32((int)((a_first & 0xffff0000u) | a_second >> 16));
      UNROLL for (uint32_t half = 0; half < 2; half++) {
        const __m512i first = _mm512_loadu_si512(b + half * 64);
        const __m512i second = _mm512_loadu_si512(b + MATMUL_B_ROW_BYTES + half * 64);
        const __m512i b_even = _mm512_mask_blend_epi16(high, second, _mm512_slli_epi32(first, 16));
        const __m512i b_odd = _mm512_mask_blend_epi16(high, _mm512_srli_epi32(second, 16), first);
        even[half] = _mm512_dpbf16_ps(even[half], a_even, (__m512bh)b_even);
        odd[half] = _mm512_dpbf16_ps(odd[half], a_odd, (__m512bh)b_odd);
      }
    }
    UNROLL for (uint32_t half = 0; half < 2; half++) sum[half] = _mm512_add_ps(sum[half], _mm512_add_ps(even[half], odd[half]));
  }
  UNROLL for (uint32_t half = 0; half < 2; half++)
    _mm512_mask_storeu_ps(accumulator + half * VECTOR_COLUMNS, masks.mask[half], sum[half]);
}

AVX512_BF16 static void bf16_dot_kernel(union accumulator *accumulator, const struct matmul_operands *operands) {
  const struct column_masks masks = masks_of(operands->n);
  const uint32_t k_bytes = operands->k_bytes, m = operands->m, whole_tiles = m - m % TILE_ROWS;
  int32_t packed[MATMUL_ROWS][16] __attribute__((aligned(64)));
  const int32_t(*a)[16] = (const int32_t(*)[16])packed;
  bf16_b_block b;
  if (m == 1) {
    bf16_dot_row(accumulator->fp32[0], operands);
    return;
  }
  for (uint32_t block = 0; block < operands->blocks; block++) {
    bf16_pack_b(b, operands->b + (uint64_t)block * (k_bytes / 4) * MATMUL_B_ROW_BYTES, k_bytes / 8);
    for (uint32_t row = 0; row < m; row++)
      bf16_pack_a((uint8_t *)packed[row], operands->a[row] + (uint64_t)block * k_bytes, k_bytes);
    PACKED_ROWS_ARE_IN_MEMORY(a);
    for (uint32_t row = 0; row < whole_tiles; row += TILE_ROWS)
      bf16_tile(&accumulator->fp32[row], a + row, b, k_bytes / 8, TILE_ROWS, masks);
    for (uint32_t row = whole_tiles; row < m; row++)
      bf16_tile(&accumulator->fp32[row], a + row, b, k_bytes / 8, 1, masks);
  }
}

static void bf16_dot(union accumulator *accumulator, const struct matmul_operands *operands) {
  run_flushed(bf16_dot_kernel, accumulator, operands);
}

/* ---- FP16, and BF16 without VDPBF16PS: widened to FP32, then fused multiply-adds ---- */

enum widening { WIDEN_FP16, WIDEN_BF16 };
#define K_ELEMENTS 32

/* A row of B, 32 columns of two elements: [even or odd element][column vector] in FP32. */
AVX512 INLINE void widen_b(__m512 wide[2][2], const uint8_t *b, const enum widening widening) {
  const __m512i left = _mm512_loadu_si512(b), right = _mm512_loadu_si512(b + 64);
  if (widening == WIDEN_BF16) {
    const __m512i high = _mm512_set1_epi32((int)0xffff0000u);
    wide[0][0] = _mm512_castsi512_ps(_mm512_slli_epi32(left, 16));
    wide[0][1] = _mm512_castsi512_ps(_mm512_slli_epi32(right, 16));
    wide[1][0] = _mm512_castsi512_ps(_mm512_and_si512(left, high));
    wide[1][1] = _mm512_castsi512_ps(_mm512_and_si512(right, high));
    return;
  }
  UNROLL for (uint32_t odd = 0; odd < 2; odd++) {
    wide[odd][0] = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_srli_epi32(left, 16 * odd)));
    wide[odd][1] = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_srli_epi32(right, 16 * odd)));
  }
}

AVX512 INLINE void widen_a(float *wide, const uint8_t *a, uint32_t k_bytes, const enum widening widening) {
  for (uint32_t at = 0; at < k_bytes; at += 32) {
    const __m256i row = _mm256_loadu_si256((const __m256i *)(a + at));
    const __m512 values = widening == WIDEN_BF16
                              ? _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(row), 16))
                              : _mm512_cvtph_ps(row);
    _mm512_store_ps(wide + at / 2, values);
  }
}

AVX512 INLINE void widened_tile(float (*accumulator)[MATMUL_COLUMNS], const float (*a)[K_ELEMENTS], const __m512 (*b)[2],
                                uint32_t k, const uint32_t rows, struct column_masks masks) {
  __m512 even[TILE_ROWS][2], odd[TILE_ROWS][2];
  UNROLL for (uint32_t row = 0; row < rows; row++)
    UNROLL for (uint32_t half = 0; half < 2; half++) even[row][half] = odd[row][half] = _mm512_setzero_ps();
  ROLLED for (uint32_t i = 0; i < k; i += 2)
    UNROLL for (uint32_t row = 0; row < rows; row++)
      UNROLL for (uint32_t half = 0; half < 2; half++) {
        even[row][half] = _mm512_fmadd_ps(_mm512_set1_ps(a[row][i]), b[i][half], even[row][half]);
        odd[row][half] = _mm512_fmadd_ps(_mm512_set1_ps(a[row][i + 1]), b[i + 1][half], odd[row][half]);
      }
  join_chains(accumulator, even, odd, rows, masks);
}

AVX512 INLINE void widened_block(union accumulator *accumulator, const struct matmul_operands *operands, uint32_t block,
                                 const enum widening widening, struct column_masks masks) {
  const uint32_t k_bytes = operands->k_bytes, k = k_bytes / 2, m = operands->m, whole_tiles = m - m % TILE_ROWS;
  const uint8_t *b_bytes = operands->b + (uint64_t)block * (k_bytes / 4) * MATMUL_B_ROW_BYTES;
  __m512 wide_b[K_ELEMENTS][2];
  for (uint32_t i = 0; i < k / 2; i++) widen_b(&wide_b[2 * i], b_bytes + i * MATMUL_B_ROW_BYTES, widening);
  float wide_a[MATMUL_ROWS][K_ELEMENTS] __attribute__((aligned(64)));
  for (uint32_t row = 0; row < m; row++) widen_a(wide_a[row], operands->a[row] + (uint64_t)block * k_bytes, k_bytes, widening);
  PACKED_ROWS_ARE_IN_MEMORY(wide_a);
  const float(*a)[K_ELEMENTS] = (const float(*)[K_ELEMENTS])wide_a;
  const __m512(*b)[2] = (const __m512(*)[2])wide_b;
  for (uint32_t row = 0; row < whole_tiles; row += TILE_ROWS)
    widened_tile(&accumulator->fp32[row], a + row, b, k, TILE_ROWS, masks);
  for (uint32_t row = whole_tiles; row < m; row++) widened_tile(&accumulator->fp32[row], a + row, b, k, 1, masks);
}

/*
 * One row, as in a request for one sample: B is used once, so it is widened in registers. The accumulator stays in registers
 * from block to block.
 */
AVX512 INLINE void widened_row(float *accumulator, const struct matmul_operands *operands, const enum widening widening,
                               struct column_masks masks) {
  const uint32_t k_bytes = operands->k_bytes;
  const uint8_t *a = operands->a[0], *b = operands->b;
  __m512 sum[2] = {_mm512_loadu_ps(accumulator), _mm512_loadu_ps(accumulator + VECTOR_COLUMNS)};
  for (uint32_t block = 0; block < operands->blocks; block++, a += k_bytes) {
    __m512 even[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()}, odd[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
    float wide_a[K_ELEMENTS] __attribute__((aligned(64)));
    widen_a(wide_a, a, k_bytes, widening);
    PACKED_ROWS_ARE_IN_MEMORY(wide_a);
    for (uint32_t i = 0; i < k_bytes / 2; i += 2, b += MATMUL_B_ROW_BYTES) {
      __m512 wide_b[2][2];
      widen_b(wide_b, b, widening);
      UNROLL for (uint32_t half = 0; half < 2; half++) {
        even[half] = _mm512_fmadd_ps(_mm512_set1_ps(wide_a[i]), wide_b[0][half], even[half]);
        odd[half] = _mm512_fmadd_ps(_mm512_set1_ps(wide_a[i + 1]), wide_b[1][half], odd[half]);
      }
    }
    UNROLL for (uint32_t half = 0; half < 2; half++) sum[half] = _mm512_add_ps(sum[half], _mm512_add_ps(even[half], odd[half]));
  }
  UNROLL for (uint32_t half = 0; half < 2; half++)
    _mm512_mask_storeu_ps(accumulator + half * VECTOR_COLUMNS, masks.mask[half], sum[half]);
}

AVX512 INLINE void widened_kernel(union accumulator *accumulator, const struct matmul_operands *operands,
                                  const enum widening widening) {
  const struct column_masks masks = masks_of(operands->n);
  if (operands->m == 1) {
    widened_row(accumulator->fp32[0], operands, widening, masks);
    return;
  }
  for (uint32_t block = 0; block < operands->blocks; block++) widened_block(accumulator, operands, block, widening, masks);
}

AVX512 static void fp16_kernel(union accumulator *accumulator, const struct matmul_operands *operands) {
  widened_kernel(accumulator, operands, WIDEN_FP16);
}

AVX512 static void bf16_widened_kernel(union accumulator *accumulator, const struct matmul_operands *operands) {
  widened_kernel(accumulator, operands, WIDEN_BF16);
}

static void fp16_avx512(union accumulator *accumulator, const struct matmul_operands *operands) {
  run_flushed(fp16_kernel, accumulator, operands);
}

static void bf16_widened(union accumulator *accumulator, const struct matmul_operands *operands) {
  run_flushed(bf16_widened_kernel, accumulator, operands);
}

/* ---- INT8 by VPDPBUSD, which wants one unsigned operand: A + 128, and 128 times the column sums of B taken off ---- */

#define INT8_TILE_ROWS 8
#define INT8_OFFSET _mm512_set1_epi32((int)0x80808080u)

AVX512 INLINE void int8_pack_a(uint8_t *packed, const uint8_t *a, uint32_t k_bytes) {
  for (uint32_t at = 0; at < k_bytes; at += 32) {
    const __m256i row = _mm256_loadu_si256((const __m256i *)(a + at));
    _mm256_store_si256((__m256i *)(packed + at), _mm256_xor_si256(row, _mm256_set1_epi8((char)0x80)));
  }
}

AVX512 INLINE void int8_tile(int32_t (*accumulator)[MATMUL_COLUMNS], const int32_t (*a)[16], const uint8_t *b,
                             uint32_t groups, const __m512i excess[2], const uint32_t rows, struct column_masks masks) {
  __m512i sum[INT8_TILE_ROWS][2];
  UNROLL for (uint32_t row = 0; row < rows; row++)
    UNROLL for (uint32_t half = 0; half < 2; half++) sum[row][half] = _mm512_setzero_si512();
  ROLLED for (uint32_t group = 0; group < groups; group++) {
    const __m512i b0 = _mm512_loadu_si512(b + group * MATMUL_B_ROW_BYTES);
    const __m512i b1 = _mm512_loadu_si512(b + group * MATMUL_B_ROW_BYTES + 64);
    UNROLL for (uint32_t row = 0; row < rows; row++) {
      const __m512i a_plus_128 = _mm512_set1_epi32(a[row][group]);
      sum[row][0] = _mm512_dpbusd_epi32(sum[row][0], a_plus_128, b0);
      sum[row][1] = _mm512_dpbusd_epi32(sum[row][1], a_plus_128, b1);
    }
  }
  UNROLL for (uint32_t row = 0; row < rows; row++)
    UNROLL for (uint32_t half = 0; half < 2; half++) {
      int32_t *at = &accumulator[row][half * VECTOR_COLUMNS];
      const __m512i product = _mm512_sub_epi32(sum[row][half], excess[half]);
      _mm512_mask_storeu_epi32(at, masks.mask[half], _mm512_add_epi32(_mm512_loadu_si512(at), product));
    }
}

AVX512 static void int8_avx512(union accumulator *accumulator, const struct matmul_operands *operands) {
  const struct column_masks masks = masks_of(operands->n);
  const uint32_t k_bytes = operands->k_bytes, groups = k_bytes / 4, m = operands->m, whole_tiles = m - m % INT8_TILE_ROWS;
  int32_t packed[MATMUL_ROWS][16] __attribute__((aligned(64)));
  const int32_t(*a)[16] = (const int32_t(*)[16])packed;
  for (uint32_t block = 0; block < operands->blocks; block++) {
    const uint8_t *b = operands->b + (uint64_t)block * groups * MATMUL_B_ROW_BYTES;
    __m512i excess[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
    for (uint32_t group = 0; group < groups; group++)
      for (uint32_t half = 0; half < 2; half++)
        excess[half] = _mm512_dpbusd_epi32(excess[half], INT8_OFFSET,
                                           _mm512_loadu_si512(b + group * MATMUL_B_ROW_BYTES + half * 64));
    for (uint32_t row = 0; row < m; row++)
      int8_pack_a((uint8_t *)packed[row], operands->a[row] + (uint64_t)block * k_bytes, k_bytes);
    PACKED_ROWS_ARE_IN_MEMORY(a);
    for (uint32_t row = 0; row < whole_tiles; row += INT8_TILE_ROWS)
      int8_tile(&accumulator->int32[row], a + row, b, groups, excess, INT8_TILE_ROWS, masks);
    for (uint32_t row = whole_tiles; row < m; row++)
      int8_tile(&accumulator->int32[row], a + row, b, groups, excess, 1, masks);
  }
}

const struct matmul_path matmul_avx512_bf16 = {"avx512 with VDPBF16PS", int8_avx512, fp16_avx512, bf16_dot};
const struct matmul_path matmul_avx512 = {"avx512", int8_avx512, fp16_avx512, bf16_widened};
#else
typedef int matmul_avx512_is_for_x86_64; /* C forbids an empty translation unit */
#endif
