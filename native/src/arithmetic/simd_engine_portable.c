/* The definition of the SIMD engine's arithmetic, in plain C: docs/numerics.md. */
#include <string.h>
#include "numeric_format.h"
#include "simd_engine.h"
#include "simd_engine_range.h"
#include "simd_engine_scale.h"

/* ---- One value: from memory, to memory ---- */

static inline float read_int8(const uint8_t *at) { return (float)(int8_t)*at; }
static inline void write_int8(uint8_t *at, float value) { *at = (uint8_t)int8_of_fp32(value); }

static inline uint16_t read16(const uint8_t *at) {
  uint16_t bits;
  memcpy(&bits, at, sizeof bits);
  return bits;
}
static inline void write16(uint8_t *at, uint16_t bits) { memcpy(at, &bits, sizeof bits); }

static inline float read_fp16(const uint8_t *at) { return fp32_of_fp16(read16(at)); }
static inline void write_fp16(uint8_t *at, float value) { write16(at, fp16_of_fp32(value)); }
static inline float read_bf16(const uint8_t *at) { return fp32_of_bf16(read16(at)); }
static inline void write_bf16(uint8_t *at, float value) { write16(at, bf16_of_fp32(value)); }

static inline float read_fp32(const uint8_t *at) {
  float value;
  memcpy(&value, at, sizeof value);
  return value;
}
static inline void write_fp32(uint8_t *at, float value) {
  const float stored = fp32_canonical(value);
  memcpy(at, &stored, sizeof stored);
}

static inline float read_int32(const uint8_t *at) {
  int32_t value;
  memcpy(&value, at, sizeof value);
  return (float)value;
}
static inline void write_int32(uint8_t *at, float value) {
  const int32_t stored = int32_of_fp32(value);
  memcpy(at, &stored, sizeof stored);
}

/* ---- Rows ---- */

#define DEFINE_TYPE(type, bytes)                                                                  \
  static void load_##type(float *values, const uint8_t *source, uint32_t count) {                 \
    for (uint32_t i = 0; i < count; i++) values[i] = read_##type(source + (uint64_t)i * bytes);   \
  }                                                                                               \
  static void store_##type(uint8_t *destination, const float *values, uint32_t count) {           \
    for (uint32_t i = 0; i < count; i++) write_##type(destination + (uint64_t)i * bytes, values[i]); \
  }                                                                                               \
  static void accumulate_##type(float *sum, const uint8_t *source, uint32_t count) {              \
    for (uint32_t i = 0; i < count; i++) sum[i] += read_##type(source + (uint64_t)i * bytes);     \
  }
DEFINE_TYPE(int8, 1)
DEFINE_TYPE(fp16, 2)
DEFINE_TYPE(bf16, 2)
DEFINE_TYPE(fp32, 4)
DEFINE_TYPE(int32, 4)

/* ---- Functions ---- */

static void relu(float *values, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    const float x = values[i];
    values[i] = x > 0 ? x : x == x ? 0.0f : x;
  }
}

/* The segment of u, kept inside the table: rounding may push u up to the end of the last segment. */
static inline int32_t segment_of(float u, int32_t segments) {
  if (!(u > 0)) return 0;
  return u < (float)segments ? (int32_t)u : segments - 1;
}

static inline float table_value(const struct se_table *table, float x) {
  if (x != x) return x;
  if (x < table->low) return table->below;
  if (x >= table->high) return table->above;
  const float u = (x - table->low) * table->scale;
  const int32_t segment = segment_of(u, table->segments);
  const float t = u - (float)segment;
  const float *const c = &table->coefficients[segment * (table->degree + 1)];
  if (table->degree == 1) return c[0] + t * c[1];
  return c[0] + t * (c[1] + t * (c[2] + t * c[3]));
}

static void apply_table(float *values, uint32_t count, const struct se_table *table) {
  for (uint32_t i = 0; i < count; i++) values[i] = table_value(table, values[i]);
}

#define DEFINE_OPERATION(name, expression)                             \
  static void name(float *first, const float *second, uint32_t count) { \
    for (uint32_t i = 0; i < count; i++) {                             \
      const float a = first[i], b = second[i];                         \
      first[i] = expression;                                           \
    }                                                                  \
  }
DEFINE_OPERATION(add, a + b)
DEFINE_OPERATION(subtract, a - b)
DEFINE_OPERATION(multiply, a *b)
/* Of a NaN and a number: the NaN. Of two equal ones (+0 and -0): the second. */
DEFINE_OPERATION(maximum, a > b || a != a ? a : b)
DEFINE_OPERATION(minimum, a < b || a != a ? a : b)

static void range(struct se_range *range, const float *values, uint32_t count) { se_range_extend(range, values, count); }

static void scale(const struct se_factors *factors, float *values, uint32_t rows, uint32_t columns, uint32_t pitch) {
  se_scale_rows(factors, values, rows, columns, pitch);
}

const struct se_path se_portable = {.name = "portable", SE_PATH_MEMBERS};
