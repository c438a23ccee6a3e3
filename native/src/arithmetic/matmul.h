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

extern const struct matmul_path matmul_portable;
#if defined(__x86_64__)
extern const struct matmul_path matmul_avx2; /* needs AVX2, FMA, F16C */
/* Need AVX-512 F, BW, DQ, VL and VNNI, and what AVX2 needs. */
extern const struct matmul_path matmul_avx512;
extern const struct matmul_path matmul_avx512_bf16; /* and AVX512_BF16 */
extern const struct matmul_path matmul_amx;         /* and AMX_TILE, AMX_INT8, AMX_BF16 */
#elif defined(__aarch64__)
extern const struct matmul_path matmul_neon;
extern const struct matmul_path matmul_neon_dot_product; /* needs FEAT_DotProd */
#endif

#endif
