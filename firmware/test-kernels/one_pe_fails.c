/* ONE_PE_FAILS: the PE at place argument 0 of the rectangle fails, the others never end. */
#include "mtia_kernel.h"

uint32_t kernel_main(const struct mtia_job_descriptor *job, uint32_t hart) {
  struct pe_place place;
  if (!find_place(job, &place)) return MTIA_RESULT_BAD_GRID;
  if (place.index == job->arguments[0]) return MTIA_RESULT_BAD_ARGUMENT;
  while (hart == 0) __asm__ volatile("");
  return MTIA_RESULT_OK;
}
