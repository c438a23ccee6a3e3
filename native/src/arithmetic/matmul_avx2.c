/* The dot-product engine on AVX2, FMA and F16C: the order of docs/numerics.md, eight columns at a time. */
#include "matmul.h"
#if defined(__x86_64__)
#include <string.h>
#include "matmul_x86.h"

#define AVX2 __attribute__((target("avx2,fma,f16c")))
#define LANES 8
#define COLUMN_VECTORS (MATMUL_COLUMNS / LANES)
/* Sums of a tile: two chains, or eight INT32 vectors, with room for the factors in sixteen registers. */
#define TILE_VECTORS 2

/* Lanes of a column vector that are stored. */
AVX2 INLINE __m256i lanes_of(uint32_t n, uint32_t vector) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_add_epi32(_mm256_set1_epi32((int)(vector * LANES)),
                                                                        _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)));
}

/* ---- FP16 and BF16: widened to FP32, then fused multiply-adds ---- */

#define FLOAT_TILE_ROWS 2
#define K_ELEMENTS 32
enum widening { WIDEN_FP16, WIDEN_BF16 };

/* The 16 low bits of eight lanes. */
AVX2 INLINE __m128i low_halves(__m256i lanes) {
  const __m256i order = _mm256_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, -1, -1, -1, -1, -1, -1, -1, -1, 0, 1, 4, 5, 8, 9, 12, 13, -1,
                                         -1, -1, -1, -1, -1, -1, -1);
  return _mm256_castsi256_si128(_mm256_permute4x64_epi64(_mm256_shuffle_epi8(lanes, order), 0x08));
}

/* Eight lanes of 32 bits, each with two elements, to eight even (low) or odd (high) elements in FP32. */
AVX2 INLINE __m256 widen_half(__m256i pairs, const uint32_t odd, const enum widening widening) {
  if (widening == WIDEN_BF16)
    return _mm256_castsi256_ps(odd ? _mm256_and_si256(pairs, _mm256_set1_epi32((int)0xffff0000u)) : _mm256_slli_epi32(pairs, 16));
  return _mm256_cvtph_ps(low_halves(odd ? _mm256_srli_epi32(pairs, 16) : pairs));
}

AVX2 INLINE void widen_a(float *wide, const uint8_t *a, uint32_t k_bytes, const enum widening widening) {
  for (uint32_t at = 0; at < k_bytes; at += 16) {
    const __m128i row = _mm_loadu_si128((const __m128i *)(a + at));
    _mm256_store_ps(wide + at / 2, widening == WIDEN_BF16
                                       ? _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(row), 16))
                                       : _mm256_cvtph_ps(row));
  }
}

AVX2 INLINE void float_tile(float (*accumulator)[MATMUL_COLUMNS], const float (*a)[K_ELEMENTS],
                            const __m256 (*b)[COLUMN_VECTORS], uint32_t k, const uint32_t rows, uint32_t first, uint32_t n) {
  __m256 even[FLOAT_TILE_ROWS][TILE_VECTORS], odd[FLOAT_TILE_ROWS][TILE_VECTORS];
  UNROLL for (uint32_t row = 0; row < rows; row++)
    UNROLL for (uint32_t vector = 0; vector < TILE_VECTORS; vector++) even[row][vector] = odd[row][vector] = _mm256_setzero_ps();
  ROLLED for (uint32_t i = 0; i < k; i += 2)
    UNROLL for (uint32_t row = 0; row < rows; row++) {
      const __m256 a_even = _mm256_broadcast_ss(&a[row][i]), a_odd = _mm256_broadcast_ss(&a[row][i + 1]);
      UNROLL for (uint32_t vector = 0; vector < TILE_VECTORS; vector++) {
        even[row][vector] = _mm256_fmadd_ps(a_even, b[i][first + vector], even[row][vector]);
        odd[row][vector] = _mm256_fmadd_ps(a_odd, b[i + 1][first + vector], odd[row][vector]);
      }
    }
  UNROLL for (uint32_t row = 0; row < rows; row++)
    UNROLL for (uint32_t vector = 0; vector < TILE_VECTORS; vector++) {
      float *const at = &accumulator[row][(first + vector) * LANES];
      const __m256 sum = _mm256_add_ps(_mm256_loadu_ps(at), _mm256_add_ps(even[row][vector], odd[row][vector]));
      _mm256_maskstore_ps(at, lanes_of(n, first + vector), sum);
    }
}

AVX2 INLINE void float_block(union accumulator *accumulator, const struct matmul_operands *operands, uint32_t block,
                             const enum widening widening) {
  const uint32_t k_bytes = operands->k_bytes, k = k_bytes / 2, m = operands->m, whole_tiles = m - m % FLOAT_TILE_ROWS;
  const uint8_t *const b_bytes = operands->b + (uint64_t)block * (k_bytes / 4) * MATMUL_B_ROW_BYTES;
  __m256 b[K_ELEMENTS][COLUMN_VECTORS];
  float a[MATMUL_ROWS][K_ELEMENTS] __attribute__((aligned(32)));
  for (uint32_t i = 0; i < k / 2; i++)
    for (uint32_t vector = 0; vector < COLUMN_VECTORS; vector++) {
      const __m256i pairs = _mm256_loadu_si256((const __m256i *)(b_bytes + i * MATMUL_B_ROW_BYTES + vector * 32));
      b[2 * i][vector] = widen_half(pairs, 0, widening);
      b[2 * i + 1][vector] = widen_half(pairs, 1, widening);
    }
  for (uint32_t row = 0; row < m; row++) widen_a(a[row], operands->a[row] + (uint64_t)block * k_bytes, k_bytes, widening);
  PACKED_ROWS_ARE_IN_MEMORY(a);
  const float(*wide_a)[K_ELEMENTS] = (const float(*)[K_ELEMENTS])a;
  const __m256(*wide_b)[COLUMN_VECTORS] = (const __m256(*)[COLUMN_VECTORS])b;
  for (uint32_t first = 0; first < COLUMN_VECTORS && first * LANES < operands->n; first += TILE_VECTORS) {
    for (uint32_t row = 0; row < whole_tiles; row += FLOAT_TILE_ROWS)
      float_tile(&accumulator->fp32[row], wide_a + row, wide_b, k, FLOAT_TILE_ROWS, first, operands->n);
    for (uint32_t row = whole_tiles; row < m; row++)
      float_tile(&accumulator->fp32[row], wide_a + row, wide_b, k, 1, first, operands->n);
  }
}

AVX2 static void fp16_kernel(union accumulator *accumulator, const struct matmul_operands *operands) {
  for (uint32_t block = 0; block < operands->blocks; block++) float_block(accumulator, operands, block, WIDEN_FP16);
}

AVX2 static void bf16_kernel(union accumulator *accumulator, const struct matmul_operands *operands) {
  for (uint32_t block = 0; block < operands->blocks; block++) float_block(accumulator, operands, block, WIDEN_BF16);
}

static void fp16_avx2(union accumulator *accumulator, const struct matmul_operands *operands) {
  run_flushed(fp16_kernel, accumulator, operands);
}

static void bf16_avx2(union accumulator *accumulator, const struct matmul_operands *operands) {
  run_flushed(bf16_kernel, accumulator, operands);
}

/* ---- INT8: widened to 16 bits for VPMADDWD, whose sum of two products then never saturates (VPMADDUBSW would) ---- */

#define INT8_TILE_ROWS 4
#define INT8_STEPS 32 /* pairs of k in 64 bytes */

/* Of every group of four bytes of k: the first two (or the last two), as 16-bit numbers. */
AVX2 INLINE __m256i widen_pairs(__m256i groups, const uint32_t last) {
  const __m256i first_two = _mm256_setr_epi8(-1, 0, -1, 1, -1, 4, -1, 5, -1, 8, -1, 9, -1, 12, -1, 13, -1, 0, -1, 1, -1, 4, -1,
                                             5, -1, 8, -1, 9, -1, 12, -1, 13);
  const __m256i last_two = _mm256_setr_epi8(-1, 2, -1, 3, -1, 6, -1, 7, -1, 10, -1, 11, -1, 14, -1, 15, -1, 2, -1, 3, -1, 6, -1,
                                            7, -1, 10, -1, 11, -1, 14, -1, 15);
  return _mm256_srai_epi16(_mm256_shuffle_epi8(groups, last ? last_two : first_two), 8);
}

AVX2 INLINE void int8_tile(int32_t (*accumulator)[MATMUL_COLUMNS], const int32_t (*a)[INT8_STEPS],
                           const __m256i (*b)[COLUMN_VECTORS], uint32_t steps, const uint32_t rows, uint32_t first, uint32_t n) {
  __m256i sum[INT8_TILE_ROWS][TILE_VECTORS];
  UNROLL for (uint32_t row = 0; row < rows; row++)
    UNROLL for (uint32_t vector = 0; vector < TILE_VECTORS; vector++) sum[row][vector] = _mm256_setzero_si256();
  ROLLED for (uint32_t step = 0; step < steps; step++)
    UNROLL for (uint32_t row = 0; row < rows; row++) {
      const __m256i pair = _mm256_set1_epi32(a[row][step]);
      UNROLL for (uint32_t vector = 0; vector < TILE_VECTORS; vector++)
        sum[row][vector] = _mm256_add_epi32(sum[row][vector], _mm256_madd_epi16(pair, b[step][first + vector]));
    }
  UNROLL for (uint32_t row = 0; row < rows; row++)
    UNROLL for (uint32_t vector = 0; vector < TILE_VECTORS; vector++) {
      int32_t *const at = &accumulator[row][(first + vector) * LANES];
      const __m256i total = _mm256_add_epi32(_mm256_loadu_si256((const __m256i *)at), sum[row][vector]);
      _mm256_maskstore_epi32(at, lanes_of(n, first + vector), total);
    }
}

AVX2 static void int8_block(union accumulator *accumulator, const struct matmul_operands *operands, uint32_t block) {
  const uint32_t k_bytes = operands->k_bytes, groups = k_bytes / 4, steps = k_bytes / 2;
  const uint32_t m = operands->m, whole_tiles = m - m % INT8_TILE_ROWS;
  const uint8_t *const b_bytes = operands->b + (uint64_t)block * groups * MATMUL_B_ROW_BYTES;
  __m256i b[INT8_STEPS][COLUMN_VECTORS];
  int32_t a[MATMUL_ROWS][INT8_STEPS] __attribute__((aligned(32)));
  for (uint32_t group = 0; group < groups; group++)
    for (uint32_t vector = 0; vector < COLUMN_VECTORS; vector++) {
      const __m256i bytes = _mm256_loadu_si256((const __m256i *)(b_bytes + group * MATMUL_B_ROW_BYTES + vector * 32));
      b[2 * group][vector] = widen_pairs(bytes, 0);
      b[2 * group + 1][vector] = widen_pairs(bytes, 1);
    }
  for (uint32_t row = 0; row < m; row++)
    for (uint32_t at = 0; at < k_bytes; at += 16) {
      const __m128i bytes = _mm_loadu_si128((const __m128i *)(operands->a[row] + (uint64_t)block * k_bytes + at));
      _mm256_store_si256((__m256i *)&a[row][at / 2], _mm256_cvtepi8_epi16(bytes));
    }
  PACKED_ROWS_ARE_IN_MEMORY(a);
  const int32_t(*wide_a)[INT8_STEPS] = (const int32_t(*)[INT8_STEPS])a;
  const __m256i(*wide_b)[COLUMN_VECTORS] = (const __m256i(*)[COLUMN_VECTORS])b;
  for (uint32_t first = 0; first < COLUMN_VECTORS && first * LANES < operands->n; first += TILE_VECTORS) {
    for (uint32_t row = 0; row < whole_tiles; row += INT8_TILE_ROWS)
      int8_tile(&accumulator->int32[row], wide_a + row, wide_b, steps, INT8_TILE_ROWS, first, operands->n);
    for (uint32_t row = whole_tiles; row < m; row++)
      int8_tile(&accumulator->int32[row], wide_a + row, wide_b, steps, 1, first, operands->n);
  }
}

static void int8_avx2(union accumulator *accumulator, const struct matmul_operands *operands) {
  for (uint32_t block = 0; block < operands->blocks; block++) int8_block(accumulator, operands, block);
}

const struct matmul_path matmul_avx2 = {"avx2", int8_avx2, fp16_avx2, bf16_avx2};
#else
typedef int matmul_avx2_is_for_x86_64; /* C forbids an empty translation unit */
#endif
