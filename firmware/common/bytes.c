#include "bytes.h"
#include <stdint.h>

/* A loop here must not be recognised as the function that it implements. */
#pragma GCC optimize("no-tree-loop-distribute-patterns")

/* Misaligned accesses trap: words are used only where both ends are aligned. */
static int aligned(const void *a, const void *b) { return (((uintptr_t)a | (uintptr_t)b) & 7) == 0; }

void *memcpy(void *restrict to, const void *restrict from, size_t bytes) {
  uint8_t *out = to;
  const uint8_t *in = from;
  if (aligned(to, from)) {
    for (; bytes >= 8; bytes -= 8, out += 8, in += 8) *(uint64_t *)(void *)out = *(const uint64_t *)(const void *)in;
  }
  while (bytes-- > 0) *out++ = *in++;
  return to;
}

void *memset(void *to, int value, size_t bytes) {
  uint8_t *out = to;
  const uint64_t word = (uint8_t)value * 0x0101010101010101ull;
  if (aligned(to, to)) {
    for (; bytes >= 8; bytes -= 8, out += 8) *(uint64_t *)(void *)out = word;
  }
  while (bytes-- > 0) *out++ = (uint8_t)value;
  return to;
}

int memcmp(const void *a, const void *b, size_t bytes) {
  const uint8_t *left = a, *right = b;
  for (; bytes > 0; bytes--, left++, right++) {
    if (*left != *right) return *left < *right ? -1 : 1;
  }
  return 0;
}
