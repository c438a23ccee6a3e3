/* BAD_GRID: divides argument 0 rows among the PEs and refuses a rectangle that leaves a rest. */
#include "mtia_kernel.h"

uint32_t kernel_main(const struct mtia_job_descriptor *job, uint32_t hart) {
  (void)hart;
  struct pe_place place;
  if (!find_place(job, &place) || job->arguments[0] % place.count != 0) return MTIA_RESULT_BAD_GRID;
  return MTIA_RESULT_OK;
}
