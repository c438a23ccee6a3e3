/*
 * Exception flags of the host's floating point unit. While a hart runs, they gather the flags of its fast arithmetic; they
 * are moved into fcsr where the hart reads it, and around calls out of the hart, whose own arithmetic must not count.
 * Hosts without this use the portable arithmetic only (ARM, for one, detects tininess before rounding, RISC-V after it).
 */
#ifndef MTIA_HART_HOST_FLOAT_H
#define MTIA_HART_HOST_FLOAT_H
#include "hart.h"

#if defined(__x86_64__) && !defined(HART_PORTABLE_FLOAT)
#include <xmmintrin.h>
#define HART_HOST_FLOAT 1
enum { HART_MXCSR_DEFAULT = 0x1f80, HART_MXCSR_FLAGS = 0x3f };

/* The compiler does not know that arithmetic sets flags: the barriers keep stores of results on their side. */
static inline uint32_t hart_host_flags_begin(void) {
  uint32_t saved = _mm_getcsr();
  _mm_setcsr(HART_MXCSR_DEFAULT);
  __asm__ volatile("" ::: "memory");
  return saved;
}

/* Forgets flags that are not the hart's. Looking costs less than setting, and most calls out raise none. */
static inline void hart_host_flags_drop(void) {
  if (_mm_getcsr() != HART_MXCSR_DEFAULT) _mm_setcsr(HART_MXCSR_DEFAULT);
  __asm__ volatile("" ::: "memory");
}

static inline void hart_host_flags_end(uint32_t saved) {
  __asm__ volatile("" ::: "memory");
  _mm_setcsr(saved);
}

static inline void hart_host_flags_collect(struct hart *hart) {
  __asm__ volatile("" ::: "memory");
  uint32_t mxcsr = _mm_getcsr();
  if ((mxcsr & HART_MXCSR_FLAGS) == 0) return;
  /* host: 1 invalid, 4 zero divide, 8 overflow, 16 underflow, 32 inexact */
  hart->fcsr |= (mxcsr & 1) << 4 | (mxcsr & 4) << 1 | (mxcsr & 8) >> 1 | (mxcsr & 16) >> 3 | (mxcsr & 32) >> 5;
  _mm_setcsr(mxcsr & ~(uint32_t)HART_MXCSR_FLAGS);
  __asm__ volatile("" ::: "memory");
}
#else
#define HART_HOST_FLOAT 0
static inline uint32_t hart_host_flags_begin(void) { return 0; }
static inline void hart_host_flags_drop(void) {}
static inline void hart_host_flags_end(uint32_t saved) { (void)saved; }
static inline void hart_host_flags_collect(struct hart *hart) { (void)hart; }
#endif

#endif
