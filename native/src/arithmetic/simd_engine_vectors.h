/*
 * Rows of the SIMD engine on vectors without masks (AVX2, NEON): whole vectors in place, and the rest through a copy. The file that
 * includes this defines LANES, VECTOR, VECTOR_TARGET (attribute of its functions), VECTOR_LOAD, VECTOR_STORE and VECTOR_ADD, and
 * read_TYPE and write_TYPE of one vector for each element type.
 */
#ifndef MTIA_SIMD_ENGINE_VECTORS_H
#define MTIA_SIMD_ENGINE_VECTORS_H
#include <stdint.h>
#include <string.h>

#define DEFINE_TYPE(type, bytes)                                                                                      \
  VECTOR_TARGET static void load_##type(float *values, const uint8_t *source, uint32_t count) {                       \
    uint8_t rest[LANES * 4] = {0};                                                                                    \
    float last[LANES];                                                                                                \
    uint32_t i = 0;                                                                                                   \
    for (; i + LANES <= count; i += LANES) VECTOR_STORE(values + i, read_##type(source + (uint64_t)i * bytes));       \
    if (i == count) return;                                                                                           \
    memcpy(rest, source + (uint64_t)i * bytes, (count - i) * bytes);                                                  \
    VECTOR_STORE(last, read_##type(rest));                                                                            \
    memcpy(values + i, last, (count - i) * sizeof last[0]);                                                           \
  }                                                                                                                   \
  VECTOR_TARGET static void store_##type(uint8_t *destination, const float *values, uint32_t count) {                 \
    uint8_t rest[LANES * 4];                                                                                          \
    float last[LANES] = {0};                                                                                          \
    uint32_t i = 0;                                                                                                   \
    for (; i + LANES <= count; i += LANES) write_##type(destination + (uint64_t)i * bytes, VECTOR_LOAD(values + i));  \
    if (i == count) return;                                                                                           \
    memcpy(last, values + i, (count - i) * sizeof last[0]);                                                           \
    write_##type(rest, VECTOR_LOAD(last));                                                                            \
    memcpy(destination + (uint64_t)i * bytes, rest, (count - i) * bytes);                                             \
  }                                                                                                                   \
  VECTOR_TARGET static void accumulate_##type(float *sum, const uint8_t *source, uint32_t count) {                    \
    float last[LANES];                                                                                                \
    uint32_t i = 0;                                                                                                   \
    for (; i + LANES <= count; i += LANES)                                                                            \
      VECTOR_STORE(sum + i, VECTOR_ADD(VECTOR_LOAD(sum + i), read_##type(source + (uint64_t)i * bytes)));             \
    if (i == count) return;                                                                                           \
    load_##type(last, source + (uint64_t)i * bytes, count - i);                                                       \
    for (uint32_t rest = 0; i < count; i++, rest++) sum[i] += last[rest];                                             \
  }

/* Runs statements on every vector of values, the last of them in a copy: x = the vector, y = what becomes of it. */
#define FOR_VECTORS(values, count, x, y, ...)                             \
  do {                                                                    \
    float last_[LANES] = {0};                                             \
    const uint32_t whole_ = (count) - (count) % LANES;                    \
    memcpy(last_, (values) + whole_, ((count)-whole_) * sizeof last_[0]); \
    for (uint32_t i_ = 0; i_ < (count); i_ += LANES) {                    \
      float *const at_ = i_ < whole_ ? (values) + i_ : last_;             \
      const VECTOR x = VECTOR_LOAD(at_);                                  \
      VECTOR y;                                                           \
      __VA_ARGS__                                                         \
      VECTOR_STORE(at_, y);                                               \
    }                                                                     \
    memcpy((values) + whole_, last_, ((count)-whole_) * sizeof last_[0]); \
  } while (0)

/* An operation of two rows: the expression of vectors a and b. */
#define DEFINE_OPERATION(name, expression)                                                         \
  VECTOR_TARGET static void name(float *first, const float *second, uint32_t count) {              \
    float a_rest[LANES] = {0}, b_rest[LANES] = {0};                                                \
    const uint32_t whole = count - count % LANES;                                                  \
    memcpy(a_rest, first + whole, (count - whole) * sizeof a_rest[0]);                             \
    memcpy(b_rest, second + whole, (count - whole) * sizeof b_rest[0]);                            \
    for (uint32_t i = 0; i < count; i += LANES) {                                                  \
      float *const at = i < whole ? first + i : a_rest;                                            \
      const VECTOR a = VECTOR_LOAD(at), b = VECTOR_LOAD(i < whole ? second + i : b_rest);          \
      VECTOR_STORE(at, expression);                                                                \
    }                                                                                              \
    memcpy(first + whole, a_rest, (count - whole) * sizeof a_rest[0]);                             \
  }

#endif
