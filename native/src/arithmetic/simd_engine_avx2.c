/* The SIMD engine on AVX2 and F16C: the bits of simd_engine_portable.c, eight at a time. */
#include "simd_engine.h"
#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>
#include "numeric_format.h"
#include "simd_engine_range.h"
#include "simd_engine_scale.h"

#define AVX2 __attribute__((target("avx2,fma,f16c")))
#define INLINE static inline __attribute__((always_inline))

/* What simd_engine_vectors.h is written with. */
#define LANES 8u
#define VECTOR __m256
#define VECTOR_TARGET AVX2
#define VECTOR_LOAD(at) _mm256_loadu_ps(at)
#define VECTOR_STORE(at, x) _mm256_storeu_ps(at, x)
#define VECTOR_ADD(a, b) _mm256_add_ps(a, b)
#include "simd_engine_vectors.h"

/* ---- Eight values: from memory, to memory ---- */

AVX2 INLINE __m256i nan_lanes(__m256 x) { return _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q)); }
AVX2 INLINE __m256i choose(__m256i mask, __m256i yes, __m256i no) { return _mm256_blendv_epi8(no, yes, mask); }
AVX2 INLINE __m256 choose_ps(__m256 mask, __m256 yes, __m256 no) { return _mm256_blendv_ps(no, yes, mask); }

AVX2 INLINE __m256 read_int8(const uint8_t *at) {
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)at)));
}
AVX2 INLINE __m256 read_fp16(const uint8_t *at) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)at)); }
AVX2 INLINE __m256 read_bf16(const uint8_t *at) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)at)), 16));
}
AVX2 INLINE __m256 read_fp32(const uint8_t *at) { return _mm256_loadu_ps((const float *)at); }
AVX2 INLINE __m256 read_int32(const uint8_t *at) { return _mm256_cvtepi32_ps(_mm256_loadu_si256((const __m256i *)at)); }

/* The conversion answers INT32_MIN to all that does not fit: right for what is below, to be mended for the rest. */
AVX2 INLINE __m256i round_to_int32(__m256 x) {
  const __m256i above = _mm256_castps_si256(_mm256_cmp_ps(x, _mm256_set1_ps(0x1p31f), _CMP_GE_OQ));
  return _mm256_andnot_si256(nan_lanes(x), choose(above, _mm256_set1_epi32(INT32_MAX), _mm256_cvtps_epi32(x)));
}
/* The low 16 bits of eight lanes that hold no more. */
AVX2 INLINE __m128i narrow_to_16(__m256i lanes) {
  return _mm256_castsi256_si128(_mm256_permute4x64_epi64(_mm256_packus_epi32(lanes, lanes), 0x08));
}
AVX2 INLINE void write_int8(uint8_t *at, __m256 x) {
  const __m256i rounded = round_to_int32(x);
  const __m128i shorts =
      _mm256_castsi256_si128(_mm256_permute4x64_epi64(_mm256_packs_epi32(rounded, rounded), 0x08)); /* saturates, as does: */
  _mm_storel_epi64((__m128i *)at, _mm_packs_epi16(shorts, shorts));
}
AVX2 INLINE void write_int32(uint8_t *at, __m256 x) { _mm256_storeu_si256((__m256i *)at, round_to_int32(x)); }
AVX2 INLINE void write_fp16(uint8_t *at, __m256 x) {
  const __m128i rounded = _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m128i nan = narrow_to_16(_mm256_srli_epi32(nan_lanes(x), 16));
  _mm_storeu_si128((__m128i *)at, _mm_blendv_epi8(rounded, _mm_set1_epi16(FP16_CANONICAL_NAN), nan));
}
AVX2 INLINE void write_bf16(uint8_t *at, __m256 x) {
  const __m256i bits = _mm256_castps_si256(x);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd), 16);
  _mm_storeu_si128((__m128i *)at, narrow_to_16(choose(nan_lanes(x), _mm256_set1_epi32(BF16_CANONICAL_NAN), rounded)));
}
AVX2 INLINE void write_fp32(uint8_t *at, __m256 x) {
  const __m256 nan = _mm256_castsi256_ps(_mm256_set1_epi32((int)FP32_CANONICAL_NAN));
  _mm256_storeu_ps((float *)at, choose_ps(_mm256_castsi256_ps(nan_lanes(x)), nan, x));
}

/* ---- Rows ---- */

DEFINE_TYPE(int8, 1)
DEFINE_TYPE(fp16, 2)
DEFINE_TYPE(bf16, 2)
DEFINE_TYPE(fp32, 4)
DEFINE_TYPE(int32, 4)

/* ---- Functions ---- */

AVX2 static void relu(float *values, uint32_t count) {
  /* greater than zero, or a NaN */
  FOR_VECTORS(values, count, x, y, y = _mm256_and_ps(x, _mm256_cmp_ps(x, _mm256_setzero_ps(), _CMP_NLE_UQ)););
}

AVX2 INLINE __m256 coefficient(const struct se_table *table, __m256i at) {
  return _mm256_i32gather_ps(table->coefficients, at, sizeof(float));
}

AVX2 INLINE __m256 polynomial(const struct se_table *table, __m256i segment, __m256 t, const uint32_t degree) {
  const __m256i one = _mm256_set1_epi32(1);
  const __m256i c0 = _mm256_slli_epi32(segment, degree == 1 ? 1 : 2), c1 = _mm256_add_epi32(c0, one);
  __m256 inner = coefficient(table, c1);
  if (degree == 3) {
    const __m256i c2 = _mm256_add_epi32(c1, one), c3 = _mm256_add_epi32(c2, one);
    const __m256 quadratic = _mm256_add_ps(coefficient(table, c2), _mm256_mul_ps(t, coefficient(table, c3)));
    inner = _mm256_add_ps(inner, _mm256_mul_ps(t, quadratic));
  }
  return _mm256_add_ps(coefficient(table, c0), _mm256_mul_ps(t, inner));
}

AVX2 INLINE __m256 table_value(const struct se_table *table, __m256 x, const uint32_t degree) {
  const __m256 low = _mm256_set1_ps(table->low), segments = _mm256_set1_ps((float)table->segments);
  const __m256 u = _mm256_mul_ps(_mm256_sub_ps(x, low), _mm256_set1_ps(table->scale));
  const __m256i positive = _mm256_castps_si256(_mm256_cmp_ps(u, _mm256_setzero_ps(), _CMP_GT_OQ));
  const __m256i inside = _mm256_castps_si256(_mm256_cmp_ps(u, segments, _CMP_LT_OQ));
  const __m256i last = _mm256_set1_epi32(table->segments - 1);
  const __m256i segment = _mm256_and_si256(positive, choose(inside, _mm256_cvttps_epi32(u), last));
  __m256 y = polynomial(table, segment, _mm256_sub_ps(u, _mm256_cvtepi32_ps(segment)), degree);
  y = choose_ps(_mm256_cmp_ps(x, _mm256_set1_ps(table->high), _CMP_GE_OQ), _mm256_set1_ps(table->above), y);
  y = choose_ps(_mm256_cmp_ps(x, low, _CMP_LT_OQ), _mm256_set1_ps(table->below), y);
  return choose_ps(_mm256_castsi256_ps(nan_lanes(x)), x, y);
}

AVX2 static void apply_table(float *values, uint32_t count, const struct se_table *table) {
  if (table->degree == 1)
    FOR_VECTORS(values, count, x, y, y = table_value(table, x, 1););
  else
    FOR_VECTORS(values, count, x, y, y = table_value(table, x, 3););
}

DEFINE_OPERATION(add, _mm256_add_ps(a, b))
DEFINE_OPERATION(subtract, _mm256_sub_ps(a, b))
DEFINE_OPERATION(multiply, _mm256_mul_ps(a, b))
/* VMAXPS and VMINPS give the second operand where one is a NaN or both are equal; a NaN in the first must be kept. */
DEFINE_OPERATION(maximum, choose_ps(_mm256_castsi256_ps(nan_lanes(a)), a, _mm256_max_ps(a, b)))
DEFINE_OPERATION(minimum, choose_ps(_mm256_castsi256_ps(nan_lanes(a)), a, _mm256_min_ps(a, b)))

AVX2 static void range(struct se_range *range, const float *values, uint32_t count) {
  se_range_extend(range, values, count);
}

AVX2 static void scale(const struct se_factors *factors, float *values, uint32_t rows, uint32_t columns, uint32_t pitch) {
  se_scale_rows(factors, values, rows, columns, pitch);
}

const struct se_path se_avx2 = {.name = "avx2", SE_PATH_MEMBERS};
#else
typedef int simd_engine_avx2_is_for_x86_64; /* C forbids an empty translation unit */
#endif
