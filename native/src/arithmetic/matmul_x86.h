/* What the x86-64 paths of the dot-product engine share. */
#ifndef MTIA_MATMUL_X86_H
#define MTIA_MATMUL_X86_H
#include <immintrin.h>
#include "matmul.h"

#define INLINE static inline __attribute__((always_inline))

/* Keeps the compiler from holding packed rows in registers: a multiply-add takes its factor from memory at no cost. */
#define PACKED_ROWS_ARE_IN_MEMORY(rows) __asm__ volatile("" : : "r"(rows) : "memory")

/* The sums of a tile must live in registers: loops over its rows and column vectors are unrolled at any -O level. */
#define UNROLL _Pragma("GCC unroll 8")
/* The loop along k is not unrolled further, or the compiler spills. */
#define ROLLED _Pragma("GCC unroll 1")

#define MXCSR_FLUSH 0x8040u /* FTZ and DAZ: denormals are zero, on input and on output */
#define MXCSR_ROUND_NEAREST_MASKED 0x1f80u

/*
 * Runs a kernel with denormals flushed. The kernel is a call through a pointer, so the compiler cannot move its arithmetic
 * across the change of mode.
 */
static inline void run_flushed(matmul_function *kernel, union accumulator *accumulator, const struct matmul_operands *operands) {
  const unsigned int saved = _mm_getcsr();
  _mm_setcsr(MXCSR_ROUND_NEAREST_MASKED | MXCSR_FLUSH);
  kernel(accumulator, operands);
  _mm_setcsr(saved);
}

#endif
