/* The SIMD engine on NEON: the bits of simd_engine_portable.c, four at a time. */
#include "simd_engine.h"
#if defined(__aarch64__)
#include <arm_neon.h>
#include <string.h>
#include "numeric_format.h"
#include "simd_engine_range.h"
#include "simd_engine_scale.h"

#define INLINE static inline __attribute__((always_inline))
#define LANES 4u

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

/* ---- Rows: whole vectors, and the rest through a copy ---- */

#define DEFINE_TYPE(type, bytes)                                                                                \
  static void load_##type(float *values, const uint8_t *source, uint32_t count) {                               \
    uint8_t rest[LANES * 4] = {0};                                                                              \
    float last[LANES];                                                                                          \
    uint32_t i = 0;                                                                                             \
    for (; i + LANES <= count; i += LANES) vst1q_f32(values + i, read_##type(source + (uint64_t)i * bytes));    \
    if (i == count) return;                                                                                     \
    memcpy(rest, source + (uint64_t)i * bytes, (count - i) * bytes);                                            \
    vst1q_f32(last, read_##type(rest));                                                                         \
    memcpy(values + i, last, (count - i) * sizeof last[0]);                                                     \
  }                                                                                                             \
  static void store_##type(uint8_t *destination, const float *values, uint32_t count) {                         \
    uint8_t rest[LANES * 4];                                                                                    \
    float last[LANES] = {0};                                                                                    \
    uint32_t i = 0;                                                                                             \
    for (; i + LANES <= count; i += LANES) write_##type(destination + (uint64_t)i * bytes, vld1q_f32(values + i)); \
    if (i == count) return;                                                                                     \
    memcpy(last, values + i, (count - i) * sizeof last[0]);                                                     \
    write_##type(rest, vld1q_f32(last));                                                                        \
    memcpy(destination + (uint64_t)i * bytes, rest, (count - i) * bytes);                                       \
  }                                                                                                             \
  static void accumulate_##type(float *sum, const uint8_t *source, uint32_t count) {                            \
    float last[LANES];                                                                                          \
    uint32_t i = 0;                                                                                             \
    for (; i + LANES <= count; i += LANES)                                                                      \
      vst1q_f32(sum + i, vaddq_f32(vld1q_f32(sum + i), read_##type(source + (uint64_t)i * bytes)));             \
    if (i == count) return;                                                                                     \
    load_##type(last, source + (uint64_t)i * bytes, count - i);                                                 \
    for (uint32_t rest = 0; i < count; i++, rest++) sum[i] += last[rest];                                       \
  }
DEFINE_TYPE(int8, 1)
DEFINE_TYPE(fp16, 2)
DEFINE_TYPE(bf16, 2)
DEFINE_TYPE(fp32, 4)
DEFINE_TYPE(int32, 4)

/* Runs statements on every vector of values, the last of them in a copy: x = the vector, y = what becomes of it. */
#define FOR_VECTORS(values, count, x, y, ...)                             \
  do {                                                                    \
    float last_[LANES] = {0};                                             \
    const uint32_t whole_ = (count) - (count) % LANES;                    \
    memcpy(last_, (values) + whole_, ((count)-whole_) * sizeof last_[0]); \
    for (uint32_t i_ = 0; i_ < (count); i_ += LANES) {                    \
      float *const at_ = i_ < whole_ ? (values) + i_ : last_;             \
      const float32x4_t x = vld1q_f32(at_);                               \
      float32x4_t y;                                                      \
      __VA_ARGS__                                                         \
      vst1q_f32(at_, y);                                                  \
    }                                                                     \
    memcpy((values) + whole_, last_, ((count)-whole_) * sizeof last_[0]); \
  } while (0)

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

#define DEFINE_OPERATION(name, expression)                                                        \
  static void name(float *first, const float *second, uint32_t count) {                           \
    float a_rest[LANES] = {0}, b_rest[LANES] = {0};                                               \
    const uint32_t whole = count - count % LANES;                                                 \
    memcpy(a_rest, first + whole, (count - whole) * sizeof a_rest[0]);                            \
    memcpy(b_rest, second + whole, (count - whole) * sizeof b_rest[0]);                           \
    for (uint32_t i = 0; i < count; i += LANES) {                                                 \
      float *const at = i < whole ? first + i : a_rest;                                           \
      const float32x4_t a = vld1q_f32(at), b = vld1q_f32(i < whole ? second + i : b_rest);        \
      vst1q_f32(at, expression);                                                                  \
    }                                                                                             \
    memcpy(first + whole, a_rest, (count - whole) * sizeof a_rest[0]);                            \
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
