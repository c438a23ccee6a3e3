/* ILLEGAL_COMMAND: hart 0 names a lookup table that the SIMD engine does not have. */
#include "mtia_kernel.h"

uint32_t kernel_main(const struct mtia_job_descriptor *job, uint32_t hart) {
  (void)job;
  if (hart == 0) se_load_table(MTIA_LIMIT_SE_TABLES, KERNEL_BUFFERS_OFFSET, 64);
  return MTIA_RESULT_OK;
}
