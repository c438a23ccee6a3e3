/*
 * The dot-product engine on AVX-512. Each function computes exactly the order of docs/numerics.md: two chains of fused
 * multiply-adds per output, one over the even and one over the odd elements of k, joined at the end of every block.
 */
#include "matmul.h"
#if defined(__x86_64__)
#include <stdbool.h>
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

/* Blocks of k at a time: their part of B, and of A in another order, fits the first-level cache. */
#define GROUP_BLOCKS 8
#define BLOCK_BYTES 64 /* of a row, at most */

/* Every 8 bytes of a row of A, k = 4j..4j+3, become 4j+2, 4j, 4j+3, 4j+1: the low and the high element of either chain. */
AVX512_BF16 INLINE void bf16_pack_a(uint8_t *packed, const uint8_t *a, uint32_t bytes) {
  const __m512i order = _mm512_broadcast_i32x4(_mm_setr_epi8(4, 5, 0, 1, 6, 7, 2, 3, 12, 13, 8, 9, 14, 15, 10, 11));
  uint32_t at = 0;
  for (; at + 64 <= bytes; at += 64) _mm512_store_si512(packed + at, _mm512_shuffle_epi8(_mm512_loadu_si512(a + at), order));
  if (at == bytes) return;
  const __m256i half = _mm256_loadu_si256((const __m256i *)(a + at));
  _mm256_store_si256((__m256i *)(packed + at), _mm256_shuffle_epi8(half, _mm512_castsi512_si256(order)));
}

/* The loads are what bounds the loop, so the compiler shall not repeat them as operands in memory. */
AVX512_BF16 INLINE __m512i loaded_once(const uint8_t *from) {
  __m512i vector = _mm512_loadu_si512(from);
  __asm__("" : "+v"(vector));
  return vector;
}

/* Part of the operands: some of the blocks. */
struct bf16_group {
  const uint8_t *b;
  uint64_t a_offset; /* in every row of A */
  uint32_t blocks, k_bytes;
  struct column_masks masks;
};

/*
 * The accumulator stays in registers from block to block. B is put in order in registers, for every tile again: that costs
 * less than loading it from a packed copy would save. Rows 2j and 2j+1 of it hold k = 4j, 4j+1 and 4j+2, 4j+3; the even chain
 * wants (high = 4j, low = 4j+2), the odd one (high = 4j+1, low = 4j+3).
 */
AVX512_BF16 INLINE void bf16_tile(float (*accumulator)[MATMUL_COLUMNS], const uint8_t *const *a, const struct bf16_group *group,
                                  const uint32_t rows) {
  uint8_t packed[TILE_ROWS][GROUP_BLOCKS * BLOCK_BYTES] __attribute__((aligned(64)));
  for (uint32_t row = 0; row < rows; row++)
    bf16_pack_a(packed[row], a[row] + group->a_offset, group->blocks * group->k_bytes);
  PACKED_ROWS_ARE_IN_MEMORY(packed);
  __m512 sum[TILE_ROWS][2];
  UNROLL for (uint32_t row = 0; row < rows; row++)
    UNROLL for (uint32_t half = 0; half < 2; half++) sum[row][half] = _mm512_loadu_ps(&accumulator[row][half * VECTOR_COLUMNS]);
  const __mmask32 high = 0xaaaaaaaau;
  const uint8_t *b = group->b;
  uint32_t at = 0;
  for (uint32_t block = 0; block < group->blocks; block++) {
    const uint32_t end = at + group->k_bytes;
    __m512 even[TILE_ROWS][2], odd[TILE_ROWS][2];
    UNROLL for (uint32_t row = 0; row < rows; row++)
      UNROLL for (uint32_t half = 0; half < 2; half++) even[row][half] = odd[row][half] = _mm512_setzero_ps();
    ROLLED do {
      __m512bh b_even[2], b_odd[2];
      UNROLL for (uint32_t half = 0; half < 2; half++) {
        const __m512i first = loaded_once(b + half * 64), second = loaded_once(b + MATMUL_B_ROW_BYTES + half * 64);
        b_even[half] = (__m512bh)_mm512_mask_blend_epi16(high, second, _mm512_slli_epi32(first, 16));
        b_odd[half] = (__m512bh)_mm512_mask_blend_epi16(high, _mm512_srli_epi32(second, 16), first);
      }
      UNROLL for (uint32_t row = 0; row < rows; row++) {
        const int32_t *const factors = (const int32_t *)&packed[row][at];
        const __m512bh a_even = (__m512bh)_mm512_set1_epi32(factors[0]), a_odd = (__m512bh)_mm512_set1_epi32(factors[1]);
        UNROLL for (uint32_t half = 0; half < 2; half++) {
          even[row][half] = _mm512_dpbf16_ps(even[row][half], a_even, b_even[half]);
          odd[row][half] = _mm512_dpbf16_ps(odd[row][half], a_odd, b_odd[half]);
        }
      }
      at += 8;
      b += 2 * MATMUL_B_ROW_BYTES;
    } while (at < end);
    UNROLL for (uint32_t row = 0; row < rows; row++)
      UNROLL for (uint32_t half = 0; half < 2; half++)
        sum[row][half] = _mm512_add_ps(sum[row][half], _mm512_add_ps(even[row][half], odd[row][half]));
  }
  UNROLL for (uint32_t row = 0; row < rows; row++)
    UNROLL for (uint32_t half = 0; half < 2; half++)
      _mm512_mask_storeu_ps(&accumulator[row][half * VECTOR_COLUMNS], group->masks.mask[half], sum[row][half]);
}

AVX512_BF16 static void bf16_dot_kernel(union accumulator *accumulator, const struct matmul_operands *operands) {
  const uint32_t m = operands->m, k_bytes = operands->k_bytes;
  struct bf16_group group = {.k_bytes = k_bytes, .masks = masks_of(operands->n)};
  for (uint32_t block = 0; block < operands->blocks; block += group.blocks) {
    const uint32_t left = operands->blocks - block;
    group.blocks = left < GROUP_BLOCKS ? left : GROUP_BLOCKS;
    group.a_offset = (uint64_t)block * k_bytes;
    group.b = operands->b + group.a_offset / 4 * MATMUL_B_ROW_BYTES;
    uint32_t row = 0;
    for (; row + TILE_ROWS <= m; row += TILE_ROWS) bf16_tile(&accumulator->fp32[row], operands->a + row, &group, TILE_ROWS);
    float(*const last)[MATMUL_COLUMNS] = &accumulator->fp32[row];
    const uint8_t *const *const a = operands->a + row;
    if (m - row == 1) bf16_tile(last, a, &group, 1);
    if (m - row == 2) bf16_tile(last, a, &group, 2);
    if (m - row == 3) bf16_tile(last, a, &group, 3);
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

/* Integers may be added in any order, so the sums of all blocks stay in registers. first: the tile that finds the excess for all. */
AVX512 INLINE void int8_tile(int32_t (*accumulator)[MATMUL_COLUMNS], const struct matmul_operands *operands, uint32_t first_row,
                             __m512i excess[2], struct column_masks masks, const uint32_t rows, const bool first) {
  const uint8_t *const *a = &operands->a[first_row];
  const uint32_t bytes = operands->blocks * operands->k_bytes;
  __m512i sum[INT8_TILE_ROWS][2];
  UNROLL for (uint32_t row = 0; row < rows; row++)
    UNROLL for (uint32_t half = 0; half < 2; half++)
      sum[row][half] = _mm512_loadu_si512(&accumulator[first_row + row][half * VECTOR_COLUMNS]);
  if (first) excess[0] = excess[1] = _mm512_setzero_si512();
  const uint8_t *b = operands->b;
  ROLLED for (uint32_t at = 0; at < bytes; at += 4, b += MATMUL_B_ROW_BYTES) {
    const __m512i b0 = _mm512_loadu_si512(b), b1 = _mm512_loadu_si512(b + 64);
    if (first) {
      excess[0] = _mm512_dpbusd_epi32(excess[0], INT8_OFFSET, b0);
      excess[1] = _mm512_dpbusd_epi32(excess[1], INT8_OFFSET, b1);
    }
    UNROLL for (uint32_t row = 0; row < rows; row++) {
      int32_t four;
      memcpy(&four, a[row] + at, sizeof four);
      const __m512i factor = _mm512_xor_si512(_mm512_set1_epi32(four), INT8_OFFSET);
      sum[row][0] = _mm512_dpbusd_epi32(sum[row][0], factor, b0);
      sum[row][1] = _mm512_dpbusd_epi32(sum[row][1], factor, b1);
    }
  }
  UNROLL for (uint32_t row = 0; row < rows; row++)
    UNROLL for (uint32_t half = 0; half < 2; half++)
      _mm512_mask_storeu_epi32(&accumulator[first_row + row][half * VECTOR_COLUMNS], masks.mask[half],
                               _mm512_sub_epi32(sum[row][half], excess[half]));
}

/* As many tiles of so many rows as there are from first_row on; the row behind them. */
AVX512 INLINE uint32_t int8_tiles(int32_t (*accumulator)[MATMUL_COLUMNS], const struct matmul_operands *operands,
                                  uint32_t first_row, __m512i excess[2], struct column_masks masks, const uint32_t rows) {
  uint32_t row = first_row;
  for (; row + rows <= operands->m; row += rows)
    if (row == 0)
      int8_tile(accumulator, operands, row, excess, masks, rows, true);
    else
      int8_tile(accumulator, operands, row, excess, masks, rows, false);
  return row;
}

AVX512 static void int8_avx512(union accumulator *accumulator, const struct matmul_operands *operands) {
  const struct column_masks masks = masks_of(operands->n);
  __m512i excess[2];
  uint32_t row = int8_tiles(accumulator->int32, operands, 0, excess, masks, INT8_TILE_ROWS);
  row = int8_tiles(accumulator->int32, operands, row, excess, masks, INT8_TILE_ROWS / 2);
  int8_tiles(accumulator->int32, operands, row, excess, masks, 1);
}

const struct matmul_path matmul_avx512_bf16 = {"avx512 with VDPBF16PS", int8_avx512, fp16_avx512, bf16_dot};
const struct matmul_path matmul_avx512 = {"avx512", int8_avx512, fp16_avx512, bf16_widened};
#else
typedef int matmul_avx512_is_for_x86_64; /* C forbids an empty translation unit */
#endif
