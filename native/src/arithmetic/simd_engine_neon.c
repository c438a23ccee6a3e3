/* The SIMD engine on NEON: the bits of simd_engine_portable.c, four at a time. */
#include "simd_engine.h"
#if defined(__aarch64__)
#include <arm_neon.h>
#include <string.h>
#include "numeric_format.h"
#include "simd_engine_range.h"
#include "simd_engine_scale.h"

#define INLINE static inline __attribute__((always_inline))

/* What simd_engine_vectors.h is written with. */
#define LANES 4u
#define VECTOR float32x4_t
#define VECTOR_TARGET
#define VECTOR_LOAD(at) vld1q_f32(at)
#define VECTOR_STORE(at, x) vst1q_f32(at, x)
#define VECTOR_ADD(a, b) vaddq_f32(a, b)
#include "simd_engine_vectors.h"

/* ---- Four values: from memory, to memory ---- */

INLINE uint32x4_t nan_lanes(float32x4_t x) { return vmvnq_u32(vceqq_f32(x, x)); }

INLINE float32x4_t read_int8(const uint8_t *at) {
  uint32_t four;
  memcpy(&four, at, sizeof four);
  return vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(vcreate_s8(four)))));
}
INLINE float32x4_t read_fp16(const uint8_t *at) { return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(at))); }
INLINE float32x4_t read_bf16(const uint8_t *at) {
  return vreinterpretq_f32_u32(vshll_n_u16(vreinterpret_u16_u8(vld1_u8(at)), 16));
}
INLINE float32x4_t read_fp32(const uint8_t *at) { return vreinterpretq_f32_u8(vld1q_u8(at)); }
INLINE float32x4_t read_int32(const uint8_t *at) { return vcvtq_f32_s32(vreinterpretq_s32_u8(vld1q_u8(at))); }

/* FCVTNS rounds to nearest even, saturates and gives 0 for a NaN: as specified. */
INLINE void write_int8(uint8_t *at, float32x4_t x) {
  const int16x4_t shorts = vqmovn_s32(vcvtnq_s32_f32(x));
  const uint32_t four = vget_lane_u32(vreinterpret_u32_s8(vqmovn_s16(vcombine_s16(shorts, shorts))), 0);
  memcpy(at, &four, sizeof four);
}
INLINE void write_int32(uint8_t *at, float32x4_t x) { vst1q_u8(at, vreinterpretq_u8_s32(vcvtnq_s32_f32(x))); }
INLINE void write_fp16(uint8_t *at, float32x4_t x) {
  const uint16x4_t rounded = vreinterpret_u16_f16(vcvt_f16_f32(x));
  vst1_u8(at, vreinterpret_u8_u16(vbsl_u16(vmovn_u32(nan_lanes(x)), vdup_n_u16(FP16_CANONICAL_NAN), rounded)));
}
INLINE void write_bf16(uint8_t *at, float32x4_t x) {
  const uint32x4_t bits = vreinterpretq_u32_f32(x);
  const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
  const uint16x4_t rounded = vshrn_n_u32(vaddq_u32(vaddq_u32(bits, vdupq_n_u32(0x7fff)), odd), 16);
  vst1_u8(at, vreinterpret_u8_u16(vbsl_u16(vmovn_u32(nan_lanes(x)), vdup_n_u16(BF16_CANONICAL_NAN), rounded)));
}
INLINE void write_fp32(uint8_t *at, float32x4_t x) {
  const uint32x4_t stored = vbslq_u32(nan_lanes(x), vdupq_n_u32(FP32_CANONICAL_NAN), vreinterpretq_u32_f32(x));
  vst1q_u8(at, vreinterpretq_u8_u32(stored));
}

/* ---- Rows ---- */

DEFINE_TYPE(int8, 1)
DEFINE_TYPE(fp16, 2)
DEFINE_TYPE(bf16, 2)
DEFINE_TYPE(fp32, 4)
DEFINE_TYPE(int32, 4)

/* ---- Functions ---- */

static void relu(float *values, uint32_t count) {
  /* greater than zero, or a NaN: not at most zero */
  FOR_VECTORS(values, count, x, y, y = vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(x), vclezq_f32(x))););
}

struct coefficients { float32x4_t c[4]; };

/* Coefficients of four segments: a gather, lane by lane. */
INLINE struct coefficients coefficients_of(const struct se_table *table, int32x4_t segment, const uint32_t degree) {
  float gathered[4][LANES];
  int32_t segments[LANES];
  vst1q_s32(segments, segment);
  for (uint32_t lane = 0; lane < LANES; lane++)
    for (uint32_t i = 0; i <= degree; i++)
      gathered[i][lane] = table->coefficients[(uint32_t)segments[lane] * (degree + 1) + i];
  struct coefficients coefficients;
  for (uint32_t i = 0; i < 4; i++) coefficients.c[i] = i <= degree ? vld1q_f32(gathered[i]) : vdupq_n_f32(0);
  return coefficients;
}

INLINE float32x4_t table_value(const struct se_table *table, float32x4_t x, const uint32_t degree) {
  const float32x4_t low = vdupq_n_f32(table->low);
  const float32x4_t u = vmulq_f32(vsubq_f32(x, low), vdupq_n_f32(table->scale));
  const uint32x4_t positive = vcgtzq_f32(u), inside = vcltq_f32(u, vdupq_n_f32((float)table->segments));
  const int32x4_t kept = vbslq_s32(inside, vcvtq_s32_f32(u), vdupq_n_s32(table->segments - 1));
  const int32x4_t segment = vandq_s32(vreinterpretq_s32_u32(positive), kept);
  const float32x4_t t = vsubq_f32(u, vcvtq_f32_s32(segment));
  const struct coefficients with = coefficients_of(table, segment, degree);
  float32x4_t inner = with.c[1];
  if (degree == 3) inner = vaddq_f32(inner, vmulq_f32(t, vaddq_f32(with.c[2], vmulq_f32(t, with.c[3]))));
  float32x4_t y = vaddq_f32(with.c[0], vmulq_f32(t, inner));
  y = vbslq_f32(vcgeq_f32(x, vdupq_n_f32(table->high)), vdupq_n_f32(table->above), y);
  y = vbslq_f32(vcltq_f32(x, low), vdupq_n_f32(table->below), y);
  return vbslq_f32(nan_lanes(x), x, y);
}

static void apply_table(float *values, uint32_t count, const struct se_table *table) {
  if (table->degree == 1)
    FOR_VECTORS(values, count, x, y, y = table_value(table, x, 1););
  else
    FOR_VECTORS(values, count, x, y, y = table_value(table, x, 3););
}

DEFINE_OPERATION(add, vaddq_f32(a, b))
DEFINE_OPERATION(subtract, vsubq_f32(a, b))
DEFINE_OPERATION(multiply, vmulq_f32(a, b))
/* FMAX orders the zeros; the engine gives the second operand of two equal ones. */
DEFINE_OPERATION(maximum, vbslq_f32(vorrq_u32(vcgtq_f32(a, b), nan_lanes(a)), a, b))
DEFINE_OPERATION(minimum, vbslq_f32(vorrq_u32(vcltq_f32(a, b), nan_lanes(a)), a, b))

static void range(struct se_range *range, const float *values, uint32_t count) { se_range_extend(range, values, count); }

static void scale(const struct se_factors *factors, float *values, uint32_t rows, uint32_t columns, uint32_t pitch) {
  se_scale_rows(factors, values, rows, columns, pitch);
}

const struct se_path se_neon = {.name = "neon", SE_PATH_MEMBERS};
#else
typedef int simd_engine_neon_is_for_aarch64; /* C forbids an empty translation unit */
#endif
