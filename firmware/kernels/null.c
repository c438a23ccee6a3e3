/* NULL: does nothing. What a launch costs by itself. */
#include "mtia_kernel.h"

uint32_t kernel_main(const struct mtia_job_descriptor *job, uint32_t hart) {
  (void)job;
  (void)hart;
  return MTIA_RESULT_OK;
}
