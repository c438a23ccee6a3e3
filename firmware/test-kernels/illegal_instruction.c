/* ILLEGAL_INSTRUCTION: hart 1 traps while hart 0 waits for it. */
#include "mtia_kernel.h"

uint32_t kernel_main(const struct mtia_job_descriptor *job, uint32_t hart) {
  (void)job;
  if (hart == 1) __asm__ volatile("unimp");
  semaphore_wait(0, 1);
  return MTIA_RESULT_OK;
}
