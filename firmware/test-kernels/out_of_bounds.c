/* OUT_OF_BOUNDS: hart 0 stores to the address in argument 0, which the context does not own. */
#include "mtia_kernel.h"

uint32_t kernel_main(const struct mtia_job_descriptor *job, uint32_t hart) {
  if (hart == 0) *(volatile uint64_t *)(uintptr_t)job->arguments[0] = 0x5555555555555555u;
  return MTIA_RESULT_OK;
}
