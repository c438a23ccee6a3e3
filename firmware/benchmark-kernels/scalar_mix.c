/*
 * Scalar loop mix for `mtia bench harts`: CRC-32, 32x32 integer matrix product, shell sort and pointer chase over local
 * memory, as in the comparison of interpreters in docs/performance.md. argument 0: repetitions. Returns 0 when the
 * checksum of the first repetition equals that of the last, so that a wrong interpreter cannot report a speed.
 */
#include <stdint.h>
#include "generated/mtia_hw.h"

struct work {
  uint8_t text[4096];
  int32_t a[32][32], b[32][32], c[32][32];
  uint32_t keys[1024];
  uint32_t next[1024];
};

static uint32_t crc32(const uint8_t *text, uint32_t bytes) {
  uint32_t crc = 0xffffffffu;
  for (uint32_t i = 0; i < bytes; i++) {
    crc ^= text[i];
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (0xedb88320u & -(crc & 1));
  }
  return ~crc;
}

static uint32_t multiply(struct work *w) {
  uint32_t sum = 0;
  for (int i = 0; i < 32; i++)
    for (int j = 0; j < 32; j++) {
      int32_t dot = 0;
      for (int k = 0; k < 32; k++) dot += w->a[i][k] * w->b[k][j];
      w->c[i][j] = dot;
      sum = sum * 31 + (uint32_t)dot;
    }
  return sum;
}

static uint32_t sort(uint32_t *keys, uint32_t count) {
  uint32_t state = 12345;
  for (uint32_t i = 0; i < count; i++) keys[i] = state = state * 1664525u + 1013904223u;
  for (uint32_t gap = count / 2; gap > 0; gap /= 2)
    for (uint32_t i = gap; i < count; i++) {
      uint32_t key = keys[i], j = i;
      for (; j >= gap && keys[j - gap] > key; j -= gap) keys[j] = keys[j - gap];
      keys[j] = key;
    }
  return keys[0] ^ keys[count / 2] ^ keys[count - 1];
}

static uint32_t chase(const uint32_t *next, uint32_t steps) {
  uint32_t at = 0;
  for (uint32_t i = 0; i < steps; i++) at = next[at];
  return at;
}

static void fill(struct work *w) {
  for (uint32_t i = 0; i < sizeof w->text; i++) w->text[i] = (uint8_t)(i * 7 + (i >> 3));
  for (int i = 0; i < 32; i++)
    for (int j = 0; j < 32; j++) w->a[i][j] = i * 3 - j, w->b[i][j] = j * 5 - i;
  for (uint32_t i = 0; i < 1024; i++) w->next[i] = (i * 5 + 3) & 1023;
}

uint32_t kernel_main(const struct mtia_job_descriptor *job, uint32_t hart) {
  /* Each hart has its own half, so that both run the same instructions. */
  struct work *w = (struct work *)(MTIA_PE_LOCAL_BASE + MTIA_RESERVED_LOCAL_MONITOR_BYTES + hart * 32768u);
  uint64_t repetitions = job->arguments[0];
  uint32_t first = 0;
  fill(w);
  for (uint64_t i = 0; i < repetitions; i++) {
    uint32_t sum = crc32(w->text, sizeof w->text) + multiply(w) + sort(w->keys, 1024) + chase(w->next, 20000);
    if (i == 0) first = sum;
    if (sum != first) return MTIA_RESULT_BAD_ARGUMENT;
  }
  return MTIA_RESULT_OK;
}
