/*
 * Arithmetic of the dot-product engine: accumulator += A * B for blocks of at most 32 x 32 outputs and 32 or 64 bytes of k.
 * Every path computes the same bits (docs/numerics.md); NaNs may differ in payload, which REDUCE removes.
 */
#ifndef MTIA_MATMUL_H
#define MTIA_MATMUL_H
#include <stdint.h>

#define MATMUL_ROWS 32
#define MATMUL_COLUMNS 32
#define MATMUL_B_ROW_BYTES 128 /* 32 groups of 4 bytes */

union accumulator {
  float fp32[MATMUL_ROWS][MATMUL_COLUMNS];
  int32_t int32[MATMUL_ROWS][MATMUL_COLUMNS];
} __attribute__((aligned(64)));

struct matmul_operands {
  const uint8_t *a[MATMUL_ROWS]; /* row r of A: blocks * k_bytes bytes */
  const uint8_t *b;              /* blocks * k_bytes / 4 rows of 128 bytes */
  uint32_t m, n, k_bytes, blocks;
};

typedef void matmul_function(union accumulator *accumulator, const struct matmul_operands *operands);

struct matmul_path {
  const char *name;
  matmul_function *int8, *fp16, *bf16;
};

/* The path for a value of enum mtia_matmul_path; one that this host cannot run gives the portable path. */
const struct matmul_path *matmul_path_select(uint32_t matmul_path);

extern const struct matmul_path matmul_portable;
#if defined(__x86_64__)
/* Need AVX-512 F, BW, DQ, VL and VNNI. */
extern const struct matmul_path matmul_avx512_bf16; /* and AVX512_BF16 */
extern const struct matmul_path matmul_avx512;
#endif

#endif
