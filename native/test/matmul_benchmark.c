/*
 * Every path of this host, block by block, against its own bare instruction; in processor time, so a busy machine matters less:
 *   cc -std=gnu11 -O3 -ffp-contract=off -fno-strict-aliasing -Inative/include -Inative/src -Inative/src/{arithmetic,processing-element,hart,chip,memory} native/test/matmul_benchmark.c \
 *     native/src/arithmetic/*.c -lm -lpthread -o build/test/matmul_benchmark
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "arithmetic_path.h"
#include "matmul_peak.h"

#define BLOCKS 8
#define REPETITIONS 400
#define TRIALS 15

static const char *const type_names[] = {"int8", "fp16", "bf16"};

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* The best of several trials: what disturbs one only ever slows it down. */
static double best_seconds(matmul_function *function, const struct matmul_operands *operands) {
  static union accumulator accumulator;
  double best = 1e9;
  memset(&accumulator, 0, sizeof accumulator);
  for (uint32_t trial = 0; trial < TRIALS; trial++) {
    const double start = seconds();
    for (uint32_t i = 0; i < REPETITIONS; i++) function(&accumulator, operands);
    const double took = seconds() - start;
    best = took < best ? took : best;
  }
  return best / REPETITIONS;
}

int main(void) {
  static uint8_t a[32][BLOCKS * 64], b[BLOCKS * 16 * MATMUL_B_ROW_BYTES];
  static const uint32_t rows[] = {1, 2, 4, 8, 32};
  for (uint32_t i = 0; i < sizeof a / 2; i++) ((uint16_t *)a)[i] = (uint16_t)(0x3c00 + i % 700);
  for (uint32_t i = 0; i < sizeof b / 2; i++) ((uint16_t *)b)[i] = (uint16_t)(0x3c00 + i % 600);
  for (uint32_t p = 0; p < arithmetic_path_count; p++) {
    const struct arithmetic_path *const path = &arithmetic_paths[p];
    if (!path->host_has_it() || path->matmul == &matmul_portable) continue;
    for (uint32_t type = 0; type < 3; type++) {
      matmul_function *const function = type == 0 ? path->matmul->int8 : type == 1 ? path->matmul->fp16 : path->matmul->bf16;
      uint64_t peak = 0;
      matmul_peak(path->matmul, type, 1, &peak);
      printf("%-24s %s, bare %.0f G/s:", path->matmul->name, type_names[type], (double)peak * 2e-9);
      for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct matmul_operands operands = {.b = b, .m = rows[i], .n = 32, .k_bytes = 64, .blocks = BLOCKS};
        for (uint32_t row = 0; row < 32; row++) operands.a[row] = a[row];
        const double multiplies = (double)rows[i] * 32 * BLOCKS * (type == 0 ? 64 : 32);
        printf("  m %u %.1f", rows[i], multiplies * 2e-9 / best_seconds(function, &operands));
      }
      printf("\n");
    }
  }
  return 0;
}
