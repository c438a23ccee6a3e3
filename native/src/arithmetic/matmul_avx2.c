/*
 * The dot-product engine on AVX2, FMA and F16C: the order of docs/numerics.md, eight columns at a time. Sixteen registers hold
 * the sums of a tile, two vectors of B and one factor of A; a tile of all 32 columns would leave no room for a second row.
 */
#include "matmul.h"
#if defined(__x86_64__)
#include <string.h>
#include "matmul_x86.h"

#define AVX2 __attribute__((target("avx2,fma,f16c")))
#define LANES 8
#define COLUMN_VECTORS (MATMUL_COLUMNS / LANES)
#define TILE_VECTORS 2

/* Loads come near to bounding the loops: this one is not repeated as an operand in memory for every row. */
#define LOADED_ONCE(vector) __asm__("" : "+x"(vector))
/* What is loaded from here for the even and the odd elements does not stay in a register between the two. */
#define LOADED_AGAIN(from) __asm__ volatile("" : "+r"(from))
/* Or the compiler, which may add integers in any order, adds products first and keeps more of them than there are registers. */
#define ADDED_AT_ONCE(sum) __asm__("" : "+x"(sum))

/* Lanes of a column vector that are stored. */
AVX2 INLINE __m256i lanes_of(uint32_t n, uint32_t vector) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_add_epi32(_mm256_set1_epi32((int)(vector * LANES)),
                                                                        _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)));
}

/*
 * ---- FP16 and BF16: widened to FP32, then fused multiply-adds ----
 * A row of B holds a pair of elements for each column. FP16 is widened as it lies there: the even lanes of a sum are the even
 * chains of four columns, the odd lanes their odd chains. The halves of a BF16 pair take one instruction each: a sum holds the
 * even chains of eight columns, or the odd ones. Neither is worth a widened copy of B, even for 32 rows.
 */

#define FLOAT_TILE_ROWS 3
#define TILE_SUMS 4 /* vectors of sums of a row in a tile of 16 columns */
#define ROW_SUMS (2 * COLUMN_VECTORS)
#define K_ELEMENTS 32
enum format { FP16, BF16 };

struct float_block {
  const uint8_t *b;
  uint64_t a_offset;
  uint32_t k, n;
};

AVX2 INLINE void widen_a(float *wide, const uint8_t *a, uint32_t k, const enum format format) {
  for (uint32_t at = 0; at < k; at += LANES) {
    const __m128i row = _mm_loadu_si128((const __m128i *)(a + 2 * at));
    _mm256_store_ps(wide + at, format == FP16 ? _mm256_cvtph_ps(row)
                                              : _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(row), 16)));
  }
}

/* What the `number`th sums of a tile are multiplied with, for the pair of k at b. */
AVX2 INLINE __m256 widen_b(const uint8_t *b, const uint32_t number, const enum format format) {
  if (format == FP16) return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)b + number));
  const uint32_t odd = number % 2, vector = number / 2;
  const __m256i pairs = _mm256_loadu_si256((const __m256i *)b + vector);
  return _mm256_castsi256_ps(odd ? _mm256_and_si256(pairs, _mm256_set1_epi32((int)0xffff0000u)) : _mm256_slli_epi32(pairs, 16));
}

/* Of FP16 a half of the columns, of BF16 the even or the odd chains: what one factor is for. */
INLINE uint32_t part_of(uint32_t number, uint32_t sums, const enum format format) {
  return format == FP16 ? number / (sums / 2) : number % 2;
}

/* even + odd for eight columns. */
AVX2 INLINE __m256 join_chains(const __m256 sums[2], const enum format format) {
  if (format == BF16) return _mm256_add_ps(sums[0], sums[1]);
  return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(_mm256_hadd_ps(sums[0], sums[1])), 0xd8));
}

AVX2 INLINE void float_tile(float (*accumulator)[MATMUL_COLUMNS], const float (*a)[K_ELEMENTS], const struct float_block *block,
                            const enum format format, const uint32_t rows, uint32_t first, const uint32_t sums) {
  const uint8_t *b = block->b + first * sizeof(__m256i);
  __m256 sum[FLOAT_TILE_ROWS][ROW_SUMS];
  UNROLL for (uint32_t row = 0; row < rows; row++)
    UNROLL for (uint32_t number = 0; number < sums; number++) sum[row][number] = _mm256_setzero_ps();
  ROLLED for (uint32_t k = 0; k < block->k; k += 2, b += MATMUL_B_ROW_BYTES)
    UNROLL for (uint32_t part = 0; part < 2; part++) { /* one half of the sums after the other */
      __m256 wide[ROW_SUMS];
      LOADED_AGAIN(a);
      LOADED_AGAIN(b);
      UNROLL for (uint32_t number = 0; number < sums; number++) {
        if (part_of(number, sums, format) != part) continue;
        wide[number] = widen_b(b, number, format);
        LOADED_ONCE(wide[number]);
      }
      UNROLL for (uint32_t row = 0; row < rows; row++) {
        const __m256 factor = format == FP16 ? _mm256_castpd_ps(_mm256_broadcast_sd((const double *)&a[row][k]))
                                             : _mm256_broadcast_ss(&a[row][k + part]);
        UNROLL for (uint32_t number = 0; number < sums; number++)
          if (part_of(number, sums, format) == part) sum[row][number] = _mm256_fmadd_ps(factor, wide[number], sum[row][number]);
      }
    }
  UNROLL for (uint32_t row = 0; row < rows; row++)
    UNROLL for (uint32_t vector = 0; vector < sums / 2; vector++) {
      float *const at = &accumulator[row][(first + vector) * LANES];
      const __m256 old = _mm256_load_ps(at), mask = _mm256_castsi256_ps(lanes_of(block->n, first + vector));
      const __m256 total = _mm256_add_ps(old, join_chains(&sum[row][2 * vector], format));
      _mm256_store_ps(at, _mm256_blendv_ps(old, total, mask)); /* a masked store takes tens of cycles on some cores */
    }
}

AVX2 INLINE void float_rows(float (*accumulator)[MATMUL_COLUMNS], const uint8_t *const *a, const struct float_block *block,
                            const enum format format, const uint32_t rows) {
  float wide[FLOAT_TILE_ROWS][K_ELEMENTS] __attribute__((aligned(32)));
  const uint32_t sums = rows == 1 ? ROW_SUMS : TILE_SUMS; /* eight at least, or the latency of a multiply-add shows */
  UNROLL for (uint32_t row = 0; row < rows; row++) widen_a(wide[row], a[row] + block->a_offset, block->k, format);
  PACKED_ROWS_ARE_IN_MEMORY(wide);
  for (uint32_t first = 0; first < COLUMN_VECTORS && first * LANES < block->n; first += sums / 2)
    float_tile(accumulator, (const float(*)[K_ELEMENTS])wide, block, format, rows, first, sums);
}

AVX2 INLINE void float_kernel(union accumulator *accumulator, const struct matmul_operands *operands, const enum format format) {
  struct float_block block = {.b = operands->b, .k = operands->k_bytes / 2, .n = operands->n};
  for (uint32_t i = 0; i < operands->blocks; i++) {
    uint32_t row = 0;
    for (; row + FLOAT_TILE_ROWS <= operands->m; row += FLOAT_TILE_ROWS)
      float_rows(&accumulator->fp32[row], operands->a + row, &block, format, FLOAT_TILE_ROWS);
    if (operands->m - row == 1) float_rows(&accumulator->fp32[row], operands->a + row, &block, format, 1);
    if (operands->m - row == 2) float_rows(&accumulator->fp32[row], operands->a + row, &block, format, 2);
    block.a_offset += operands->k_bytes;
    block.b += operands->k_bytes / 4 * MATMUL_B_ROW_BYTES;
  }
}

AVX2 static void fp16_kernel(union accumulator *accumulator, const struct matmul_operands *operands) {
  float_kernel(accumulator, operands, FP16);
}

AVX2 static void bf16_kernel(union accumulator *accumulator, const struct matmul_operands *operands) {
  float_kernel(accumulator, operands, BF16);
}

static void fp16_avx2(union accumulator *accumulator, const struct matmul_operands *operands) {
  run_flushed(fp16_kernel, accumulator, operands);
}

static void bf16_avx2(union accumulator *accumulator, const struct matmul_operands *operands) {
  run_flushed(bf16_kernel, accumulator, operands);
}

/* ---- INT8: widened to 16 bits for VPMADDWD, whose sum of two products then never saturates (VPMADDUBSW would) ---- */

#define INT8_TILE_ROWS 6
#define GROUP_BYTES 256 /* of a row of A at a time */

/* Of every four bytes along k: the first and the third (or the second and the fourth), as 16-bit numbers. */
AVX2 INLINE __m256i widen_bytes(__m256i fours, const uint32_t odd) {
  return _mm256_srai_epi16(odd ? fours : _mm256_slli_epi16(fours, 8), 8);
}

/* Part of the operands along k. */
struct int8_group {
  const uint8_t *b;
  uint64_t a_offset;
  uint32_t bytes, n;
};

AVX2 INLINE void int8_tile(int32_t (*accumulator)[MATMUL_COLUMNS], const int32_t (*a)[2][GROUP_BYTES / 4],
                           const struct int8_group *group, const uint32_t rows, uint32_t first, const uint32_t vectors) {
  __m256i sum[INT8_TILE_ROWS][COLUMN_VECTORS];
  UNROLL for (uint32_t row = 0; row < rows; row++)
    UNROLL for (uint32_t vector = 0; vector < vectors; vector++) sum[row][vector] = _mm256_setzero_si256();
  const uint8_t *b = group->b + first * sizeof(__m256i);
  ROLLED for (uint32_t four = 0; four < group->bytes / 4; four++, b += MATMUL_B_ROW_BYTES)
    UNROLL for (uint32_t odd = 0; odd < 2; odd++) {
      __m256i wide[COLUMN_VECTORS];
      LOADED_AGAIN(b);
      UNROLL for (uint32_t vector = 0; vector < vectors; vector++) {
        wide[vector] = widen_bytes(_mm256_loadu_si256((const __m256i *)b + vector), odd);
        LOADED_ONCE(wide[vector]);
      }
      UNROLL for (uint32_t row = 0; row < rows; row++) {
        const __m256i factors = _mm256_set1_epi32(a[row][odd][four]);
        UNROLL for (uint32_t vector = 0; vector < vectors; vector++) {
          sum[row][vector] = _mm256_add_epi32(sum[row][vector], _mm256_madd_epi16(factors, wide[vector]));
          ADDED_AT_ONCE(sum[row][vector]);
        }
      }
    }
  UNROLL for (uint32_t row = 0; row < rows; row++)
    UNROLL for (uint32_t vector = 0; vector < vectors; vector++) {
      __m256i *const at = (__m256i *)&accumulator[row][(first + vector) * LANES];
      const __m256i old = _mm256_load_si256(at), mask = lanes_of(group->n, first + vector);
      _mm256_store_si256(at, _mm256_add_epi32(old, _mm256_and_si256(sum[row][vector], mask)));
    }
}

AVX2 INLINE void int8_rows(int32_t (*accumulator)[MATMUL_COLUMNS], const uint8_t *const *a, const struct int8_group *group,
                           const uint32_t rows) {
  int32_t wide[INT8_TILE_ROWS][2][GROUP_BYTES / 4] __attribute__((aligned(32)));
  const uint32_t vectors = rows == 1 ? COLUMN_VECTORS : TILE_VECTORS;
  UNROLL for (uint32_t row = 0; row < rows; row++)
    for (uint32_t at = 0; at < group->bytes; at += sizeof(__m256i)) {
      const __m256i fours = _mm256_loadu_si256((const __m256i *)(a[row] + group->a_offset + at));
      UNROLL for (uint32_t odd = 0; odd < 2; odd++)
        _mm256_store_si256((__m256i *)&wide[row][odd][at / 4], widen_bytes(fours, odd));
    }
  PACKED_ROWS_ARE_IN_MEMORY(wide);
  for (uint32_t first = 0; first < COLUMN_VECTORS && first * LANES < group->n; first += vectors)
    int8_tile(accumulator, (const int32_t(*)[2][GROUP_BYTES / 4])wide, group, rows, first, vectors);
}

AVX2 static void int8_avx2(union accumulator *accumulator, const struct matmul_operands *operands) {
  const uint32_t bytes = operands->blocks * operands->k_bytes;
  struct int8_group group = {.n = operands->n};
  for (uint32_t at = 0; at < bytes; at += group.bytes) {
    group.bytes = bytes - at < GROUP_BYTES ? bytes - at : GROUP_BYTES;
    group.a_offset = at;
    group.b = operands->b + (uint64_t)at / 4 * MATMUL_B_ROW_BYTES;
    uint32_t row = 0;
    for (; row + INT8_TILE_ROWS <= operands->m; row += INT8_TILE_ROWS)
      int8_rows(&accumulator->int32[row], operands->a + row, &group, INT8_TILE_ROWS);
    if (row + INT8_TILE_ROWS / 2 <= operands->m) {
      int8_rows(&accumulator->int32[row], operands->a + row, &group, INT8_TILE_ROWS / 2);
      row += INT8_TILE_ROWS / 2;
    }
    for (; row < operands->m; row++) int8_rows(&accumulator->int32[row], operands->a + row, &group, 1);
  }
}

const struct matmul_path matmul_avx2 = {"avx2", int8_avx2, fp16_avx2, bf16_avx2};
#else
typedef int matmul_avx2_is_for_x86_64; /* C forbids an empty translation unit */
#endif
