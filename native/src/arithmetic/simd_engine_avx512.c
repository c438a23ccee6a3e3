/* The SIMD engine on AVX-512: the bits of simd_engine_portable.c, sixteen at a time. */
#include "simd_engine.h"
#if defined(__x86_64__)
#include <immintrin.h>
#include "numeric_format.h"
#include "simd_engine_range.h"
#include "simd_engine_scale.h"

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")))
#define INLINE static inline __attribute__((always_inline))
#define LANES 16

INLINE __mmask16 lanes_of(uint32_t count) { return (__mmask16)(count >= LANES ? 0xffffu : (1u << count) - 1u); }

/* Runs statement for every vector of a row; i = its first element, lanes = those that exist. */
#define FOR_VECTORS(count, i, lanes)                                               \
  for (uint32_t i = 0; i < (count); i += LANES)                                    \
    for (__mmask16 lanes = lanes_of((count)-i), once = 1; once; once = 0)

/* ---- Sixteen values: from memory, to memory ---- */

AVX512 INLINE __mmask16 nan_lanes(__m512 x) { return _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q); }

AVX512 INLINE __m512 read_int8(const uint8_t *at, __mmask16 lanes) {
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(lanes, at)));
}
AVX512 INLINE __m512 read_fp16(const uint8_t *at, __mmask16 lanes) {
  return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(lanes, at));
}
AVX512 INLINE __m512 read_bf16(const uint8_t *at, __mmask16 lanes) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(lanes, at)), 16));
}
AVX512 INLINE __m512 read_fp32(const uint8_t *at, __mmask16 lanes) { return _mm512_maskz_loadu_ps(lanes, at); }
AVX512 INLINE __m512 read_int32(const uint8_t *at, __mmask16 lanes) {
  return _mm512_cvtepi32_ps(_mm512_maskz_loadu_epi32(lanes, at));
}

/* The conversion answers INT32_MIN to all that does not fit: right for what is below, to be mended for the rest. */
AVX512 INLINE __m512i round_to_int32(__m512 x) {
  const __m512i rounded = _mm512_cvt_roundps_epi32(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __mmask16 above = _mm512_cmp_ps_mask(x, _mm512_set1_ps(0x1p31f), _CMP_GE_OQ);
  return _mm512_maskz_mov_epi32((__mmask16)~nan_lanes(x),
                                _mm512_mask_mov_epi32(rounded, above, _mm512_set1_epi32(INT32_MAX)));
}
AVX512 INLINE void write_int8(uint8_t *at, __m512 x, __mmask16 lanes) {
  _mm_mask_storeu_epi8(at, lanes, _mm512_cvtsepi32_epi8(round_to_int32(x)));
}
AVX512 INLINE void write_int32(uint8_t *at, __m512 x, __mmask16 lanes) {
  _mm512_mask_storeu_epi32(at, lanes, round_to_int32(x));
}
AVX512 INLINE void write_fp16(uint8_t *at, __m512 x, __mmask16 lanes) {
  const __m256i rounded = _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  _mm256_mask_storeu_epi16(at, lanes, _mm256_mask_mov_epi16(rounded, nan_lanes(x), _mm256_set1_epi16(FP16_CANONICAL_NAN)));
}
AVX512 INLINE void write_bf16(uint8_t *at, __m512 x, __mmask16 lanes) {
  const __m512i bits = _mm512_castps_si512(x);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i rounded =
      _mm512_srli_epi32(_mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd), 16);
  _mm256_mask_storeu_epi16(
      at, lanes,
      _mm512_cvtepi32_epi16(_mm512_mask_mov_epi32(rounded, nan_lanes(x), _mm512_set1_epi32(BF16_CANONICAL_NAN))));
}
AVX512 INLINE void write_fp32(uint8_t *at, __m512 x, __mmask16 lanes) {
  const __m512 nan = _mm512_castsi512_ps(_mm512_set1_epi32((int)FP32_CANONICAL_NAN));
  _mm512_mask_storeu_ps(at, lanes, _mm512_mask_mov_ps(x, nan_lanes(x), nan));
}

/* ---- Rows ---- */

#define DEFINE_TYPE(type, bytes)                                                                        \
  AVX512 static void load_##type(float *values, const uint8_t *source, uint32_t count) {                \
    FOR_VECTORS(count, i, lanes)                                                                        \
    _mm512_mask_storeu_ps(values + i, lanes, read_##type(source + (uint64_t)i * bytes, lanes));         \
  }                                                                                                     \
  AVX512 static void store_##type(uint8_t *destination, const float *values, uint32_t count) {          \
    FOR_VECTORS(count, i, lanes)                                                                        \
    write_##type(destination + (uint64_t)i * bytes, _mm512_maskz_loadu_ps(lanes, values + i), lanes);   \
  }                                                                                                     \
  AVX512 static void accumulate_##type(float *sum, const uint8_t *source, uint32_t count) {             \
    FOR_VECTORS(count, i, lanes)                                                                        \
    _mm512_mask_storeu_ps(sum + i, lanes,                                                               \
                          _mm512_add_ps(_mm512_maskz_loadu_ps(lanes, sum + i),                          \
                                        read_##type(source + (uint64_t)i * bytes, lanes)));             \
  }
DEFINE_TYPE(int8, 1)
DEFINE_TYPE(fp16, 2)
DEFINE_TYPE(bf16, 2)
DEFINE_TYPE(fp32, 4)
DEFINE_TYPE(int32, 4)

/* ---- Functions ---- */

AVX512 static void relu(float *values, uint32_t count) {
  FOR_VECTORS(count, i, lanes) {
    const __m512 x = _mm512_maskz_loadu_ps(lanes, values + i);
    /* greater than zero, or a NaN */
    const __mmask16 kept = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_NLE_UQ);
    _mm512_mask_storeu_ps(values + i, lanes, _mm512_maskz_mov_ps(kept, x));
  }
}

AVX512 INLINE __m512 linear(const struct se_table *table, __m512i segment, __m512 t) {
  const __m512i index = _mm512_slli_epi32(segment, 1);
  const __m512 c0 = _mm512_i32gather_ps(index, table->coefficients, 4);
  const __m512 c1 = _mm512_i32gather_ps(index, table->coefficients + 1, 4);
  return _mm512_add_ps(c0, _mm512_mul_ps(t, c1));
}

/* The coefficients of elements i, i + 4, i + 8 and i + 12, a quarter of the vector each. */
AVX512 INLINE __m512 cubic_coefficients(const struct se_table *table, const int32_t *segments) {
  __m512 c = _mm512_castps128_ps512(_mm_load_ps(table->coefficients + 4 * segments[0]));
  c = _mm512_mask_broadcast_f32x4(c, 0x00f0, _mm_load_ps(table->coefficients + 4 * segments[4]));
  c = _mm512_mask_broadcast_f32x4(c, 0x0f00, _mm_load_ps(table->coefficients + 4 * segments[8]));
  return _mm512_mask_broadcast_f32x4(c, 0xf000, _mm_load_ps(table->coefficients + 4 * segments[12]));
}

/* Sixteen loads of four coefficients and a transposition take half the time of four gathers. */
AVX512 INLINE __m512 cubic(const struct se_table *table, __m512i segment, __m512 t) {
  int32_t segments[LANES] __attribute__((aligned(64)));
  _mm512_store_si512(segments, segment);
  const __m512 a = cubic_coefficients(table, segments), b = cubic_coefficients(table, segments + 1);
  const __m512 c = cubic_coefficients(table, segments + 2), d = cubic_coefficients(table, segments + 3);
  const __m512d ab01 = _mm512_castps_pd(_mm512_unpacklo_ps(a, b)), ab23 = _mm512_castps_pd(_mm512_unpackhi_ps(a, b));
  const __m512d cd01 = _mm512_castps_pd(_mm512_unpacklo_ps(c, d)), cd23 = _mm512_castps_pd(_mm512_unpackhi_ps(c, d));
  const __m512 c0 = _mm512_castpd_ps(_mm512_unpacklo_pd(ab01, cd01)), c1 = _mm512_castpd_ps(_mm512_unpackhi_pd(ab01, cd01));
  const __m512 c2 = _mm512_castpd_ps(_mm512_unpacklo_pd(ab23, cd23)), c3 = _mm512_castpd_ps(_mm512_unpackhi_pd(ab23, cd23));
  const __m512 inner = _mm512_add_ps(c1, _mm512_mul_ps(t, _mm512_add_ps(c2, _mm512_mul_ps(t, c3))));
  return _mm512_add_ps(c0, _mm512_mul_ps(t, inner));
}

AVX512 INLINE void table_of_degree(float *values, uint32_t count, const struct se_table *table, const uint32_t degree) {
  const __m512 low = _mm512_set1_ps(table->low), segments = _mm512_set1_ps((float)table->segments);
  const __m512i last = _mm512_set1_epi32(table->segments - 1);
  FOR_VECTORS(count, i, lanes) {
    const __m512 x = _mm512_maskz_loadu_ps(lanes, values + i);
    const __m512 u = _mm512_mul_ps(_mm512_sub_ps(x, low), _mm512_set1_ps(table->scale));
    const __mmask16 positive = _mm512_cmp_ps_mask(u, _mm512_setzero_ps(), _CMP_GT_OQ);
    const __mmask16 inside = _mm512_cmp_ps_mask(u, segments, _CMP_LT_OQ);
    const __m512i segment =
        _mm512_maskz_mov_epi32(positive, _mm512_mask_mov_epi32(last, inside, _mm512_cvttps_epi32(u)));
    const __m512 t = _mm512_sub_ps(u, _mm512_cvtepi32_ps(segment));
    __m512 y = degree == 1 ? linear(table, segment, t) : cubic(table, segment, t);
    const __mmask16 above = _mm512_cmp_ps_mask(x, _mm512_set1_ps(table->high), _CMP_GE_OQ);
    y = _mm512_mask_mov_ps(y, above, _mm512_set1_ps(table->above));
    y = _mm512_mask_mov_ps(y, _mm512_cmp_ps_mask(x, low, _CMP_LT_OQ), _mm512_set1_ps(table->below));
    _mm512_mask_storeu_ps(values + i, lanes, _mm512_mask_mov_ps(y, nan_lanes(x), x));
  }
}

AVX512 static void apply_table(float *values, uint32_t count, const struct se_table *table) {
  if (table->degree == 1)
    table_of_degree(values, count, table, 1);
  else
    table_of_degree(values, count, table, 3);
}

#define DEFINE_OPERATION(name, expression)                                    \
  AVX512 static void name(float *first, const float *second, uint32_t count) { \
    FOR_VECTORS(count, i, lanes) {                                            \
      const __m512 a = _mm512_maskz_loadu_ps(lanes, first + i);               \
      const __m512 b = _mm512_maskz_loadu_ps(lanes, second + i);              \
      _mm512_mask_storeu_ps(first + i, lanes, expression);                    \
    }                                                                         \
  }
DEFINE_OPERATION(add, _mm512_add_ps(a, b))
DEFINE_OPERATION(subtract, _mm512_sub_ps(a, b))
DEFINE_OPERATION(multiply, _mm512_mul_ps(a, b))
/* VMAXPS and VMINPS give the second operand where one is a NaN or both are equal; a NaN in the first must be kept. */
DEFINE_OPERATION(maximum, _mm512_mask_mov_ps(_mm512_max_ps(a, b), nan_lanes(a), a))
DEFINE_OPERATION(minimum, _mm512_mask_mov_ps(_mm512_min_ps(a, b), nan_lanes(a), a))

AVX512 static void range(struct se_range *range, const float *values, uint32_t count) {
  se_range_extend(range, values, count);
}

AVX512 static void scale(const struct se_factors *factors, float *values, uint32_t rows, uint32_t columns, uint32_t pitch) {
  se_scale_rows(factors, values, rows, columns, pitch);
}

const struct se_path se_avx512 = {.name = "avx512", SE_PATH_MEMBERS};
#else
typedef int simd_engine_avx512_is_for_x86_64; /* C forbids an empty translation unit */
#endif
