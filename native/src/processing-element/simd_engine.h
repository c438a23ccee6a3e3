/*
 * Arithmetic of the SIMD engine on rows of FP32 values: conversions, functions, lookup tables, elementwise operations.
 * Every path computes the same bits (docs/numerics.md); simd_engine_portable.c is the definition.
 */
#ifndef MTIA_SIMD_ENGINE_H
#define MTIA_SIMD_ENGINE_H
#include <stdbool.h>
#include <stdint.h>
#include "generated/mtia_hw.h"

#define SE_DATA_TYPES 5
#define SE_OPERATIONS 5

/* A loaded lookup table. */
struct se_table {
  float low, high, scale, below, above;
  int32_t segments, degree; /* segments = 0: not loaded */
  uint64_t ready;           /* device cycle */
  /* Aligned, so that the four coefficients of a cubic segment share a cache line. */
  float coefficients[(MTIA_LIMIT_SE_TABLE_BYTES - sizeof(struct mtia_se_table)) / 4] __attribute__((aligned(64)));
};

struct se_range;

/* What rows of values are scaled by; NULL: by nothing. */
struct se_factors {
  const uint8_t *row_scale; /* a float a row, at any address */
  const float *column_scale, *column_bias;
};

struct se_path {
  const char *name;
  /* Indexed by DATA_TYPE. Memory may have any alignment and never overlaps `values`. */
  void (*load[SE_DATA_TYPES])(float *values, const uint8_t *source, uint32_t count);
  void (*store[SE_DATA_TYPES])(uint8_t *destination, const float *values, uint32_t count);
  /* sum += source */
  void (*accumulate[SE_DATA_TYPES])(float *sum, const uint8_t *source, uint32_t count);
  /* values = function(values) */
  void (*relu)(float *values, uint32_t count);
  void (*table)(float *values, uint32_t count, const struct se_table *table);
  /* first = operation(first, second), indexed by SE_OPERATION */
  void (*operation[SE_OPERATIONS])(float *first, const float *second, uint32_t count);
  /* Extends the range by values: se_range_extend, compiled for the path. */
  void (*range)(struct se_range *range, const float *values, uint32_t count);
  /* values = (values * row scale) * column scale + column bias, in rows that begin `pitch` apart: se_scale_rows, likewise. */
  void (*scale)(const struct se_factors *factors, float *values, uint32_t rows, uint32_t columns, uint32_t pitch);
};

/* Members of a path out of functions that each implementation names alike: load_fp16, store_bf16, relu, add, ... */
#define SE_PER_TYPE(function)                                                                                    \
  {                                                                                                              \
    [MTIA_TYPE_INT8] = function##_int8, [MTIA_TYPE_FP16] = function##_fp16, [MTIA_TYPE_BF16] = function##_bf16,  \
    [MTIA_TYPE_FP32] = function##_fp32, [MTIA_TYPE_INT32] = function##_int32                                     \
  }
#define SE_PATH_MEMBERS                                           \
  .load = SE_PER_TYPE(load), .store = SE_PER_TYPE(store),         \
  .accumulate = SE_PER_TYPE(accumulate), .relu = relu,            \
  .range = range, .scale = scale,                                 \
  .table = apply_table, .operation = {                            \
    [MTIA_SE_OPERATION_ADD] = add,                                \
    [MTIA_SE_OPERATION_SUBTRACT] = subtract,                      \
    [MTIA_SE_OPERATION_MULTIPLY] = multiply,                      \
    [MTIA_SE_OPERATION_MAXIMUM] = maximum,                        \
    [MTIA_SE_OPERATION_MINIMUM] = minimum                         \
  }

extern const struct se_path se_portable;
#if defined(__x86_64__)
extern const struct se_path se_avx2;   /* needs AVX2, FMA, F16C */
extern const struct se_path se_avx512; /* needs AVX-512 F, BW, DQ, VL */
#elif defined(__aarch64__)
extern const struct se_path se_neon;
#endif

/* Fills a table from its bytes in local memory. False: segments, degree or size are not legal. */
bool se_table_load(struct se_table *table, const uint8_t *source, uint32_t bytes);
/* Values processed at a time: the engine's inner buffer. */
#define SE_CHUNK 256
/* values = function(values); the table of the function is loaded. */
void se_apply(const struct se_path *path, uint32_t function, const struct se_table *tables, float *values, uint32_t count);

#endif
