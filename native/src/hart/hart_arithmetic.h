/* Integer arithmetic of the M extension where C leaves a case undefined. */
#ifndef MTIA_HART_ARITHMETIC_H
#define MTIA_HART_ARITHMETIC_H
#include <stdint.h>
#include "hart_opcodes.h"

static inline uint64_t hart_multiply_high(uint64_t a, uint64_t b) {
  return (uint64_t)(((__int128)(int64_t)a * (int64_t)b) >> 64);
}
static inline uint64_t hart_multiply_high_mixed(uint64_t a, uint64_t b) {
  return (uint64_t)(((__int128)(int64_t)a * (__int128)(unsigned __int128)b) >> 64);
}
static inline uint64_t hart_divide(uint64_t a, uint64_t b) {
  if (b == 0) return ~0ull;
  if (b == ~0ull) return 0 - a; /* also the smallest number by -1 */
  return (uint64_t)((int64_t)a / (int64_t)b);
}
static inline uint64_t hart_remainder(uint64_t a, uint64_t b) {
  if (b == 0) return a;
  if (b == ~0ull) return 0;
  return (uint64_t)((int64_t)a % (int64_t)b);
}
static inline uint64_t hart_divide_word(uint32_t a, uint32_t b) {
  if (b == 0) return ~0ull;
  if (b == ~0u) return HART_SIGN_32(0 - a);
  return HART_SIGN_32((int32_t)a / (int32_t)b);
}
static inline uint64_t hart_remainder_word(uint32_t a, uint32_t b) {
  if (b == 0) return HART_SIGN_32(a);
  if (b == ~0u) return 0;
  return HART_SIGN_32((int32_t)a % (int32_t)b);
}

#endif
