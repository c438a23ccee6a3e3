/* MISALIGNED: hart 0 loads a word from argument 0, an odd address of a register (memory would allow it). */
#include "mtia_kernel.h"

uint32_t kernel_main(const struct mtia_job_descriptor *job, uint32_t hart) {
  uint64_t value = 0;
  if (hart == 0) __asm__ volatile("ld %0, 0(%1)" : "=r"(value) : "r"(job->arguments[0]) : "memory");
  return (uint32_t)value;
}
