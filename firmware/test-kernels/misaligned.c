/* MISALIGNED: hart 0 loads a word from an odd address. */
#include "mtia_kernel.h"

uint32_t kernel_main(const struct mtia_job_descriptor *job, uint32_t hart) {
  (void)job;
  uint64_t value = 0;
  if (hart == 0) __asm__ volatile("ld %0, 1(%1)" : "=r"(value) : "r"(local_pointer(KERNEL_BUFFERS_OFFSET)) : "memory");
  return (uint32_t)value;
}
