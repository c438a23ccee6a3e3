/* The machine has no instruction for it, and there is no compiler library here. */
#ifndef MTIA_FIRMWARE_BITS_H
#define MTIA_FIRMWARE_BITS_H
#include <stdint.h>

/* Number of the lowest bit that is set. The lowest bit alone, times a de Bruijn sequence, has six telling bits on top. */
static inline uint32_t lowest_bit(uint64_t bits) {
  static const uint8_t POSITION[64] = {
      0, 1, 48, 2, 57, 49, 28, 3, 61, 58, 50, 42, 38, 29, 17, 4,
      62, 55, 59, 36, 53, 51, 43, 22, 45, 39, 33, 30, 24, 18, 12, 5,
      63, 47, 56, 27, 60, 41, 37, 16, 54, 35, 52, 21, 44, 32, 23, 11,
      46, 26, 40, 15, 34, 20, 31, 10, 25, 14, 19, 9, 13, 8, 7, 6,
  };
  return POSITION[(bits & -bits) * 0x3f79d71b4cb0a89ull >> 58];
}

#endif
