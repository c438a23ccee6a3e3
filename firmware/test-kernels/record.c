/* RECORD: the PE at place i of the rectangle stores argument 1 + i as word i at the address in argument 0. */
#include "mtia_kernel.h"

uint32_t kernel_main(const struct mtia_job_descriptor *job, uint32_t hart) {
  struct pe_place place;
  if (!find_place(job, &place)) return MTIA_RESULT_BAD_GRID;
  if (job->argument_words < 2) return MTIA_RESULT_BAD_ARGUMENT;
  volatile uint64_t *const words = (volatile uint64_t *)(uintptr_t)job->arguments[0];
  if (hart == 0) words[place.index] = job->arguments[1] + place.index;
  return MTIA_RESULT_OK;
}
