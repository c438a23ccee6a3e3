/*
 * Scales of rows and columns, and biases of columns. Each value goes through the same three rounded steps whichever of them a
 * compiler takes together: one body for every path.
 */
#ifndef MTIA_SIMD_ENGINE_SCALE_H
#define MTIA_SIMD_ENGINE_SCALE_H
#include <string.h>
#include "simd_engine.h"

static inline __attribute__((always_inline)) void se_scale_rows(const struct se_factors *factors, float *values, uint32_t rows,
                                                                uint32_t columns, uint32_t pitch) {
  const float *const restrict scale = factors->column_scale, *const restrict bias = factors->column_bias;
  for (uint32_t row = 0; row < rows; row++) {
    float *const restrict at = values + row * pitch;
    if (factors->row_scale != NULL) {
      float factor;
      memcpy(&factor, factors->row_scale + row * sizeof factor, sizeof factor);
      for (uint32_t i = 0; i < columns; i++) at[i] = at[i] * factor;
    }
    if (scale != NULL)
      for (uint32_t i = 0; i < columns; i++) at[i] = at[i] * scale[i];
    if (bias != NULL)
      for (uint32_t i = 0; i < columns; i++) at[i] = at[i] + bias[i];
  }
}

#endif
