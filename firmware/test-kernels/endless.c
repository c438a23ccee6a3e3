/* ENDLESS: hart 0 never returns. */
#include "mtia_kernel.h"

uint32_t kernel_main(const struct mtia_job_descriptor *job, uint32_t hart) {
  (void)job;
  while (hart == 0) __asm__ volatile("");
  return MTIA_RESULT_OK;
}
