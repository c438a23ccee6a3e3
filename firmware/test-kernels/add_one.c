/* ADD_ONE: hart 0 of the first PE adds one to the word at argument 0, argument 1 times with pauses: jobs that overlap lose additions. */
#include "mtia_kernel.h"

uint32_t kernel_main(const struct mtia_job_descriptor *job, uint32_t hart) {
  struct pe_place place;
  if (!find_place(job, &place)) return MTIA_RESULT_BAD_GRID;
  if (hart != 0 || place.index != 0) return MTIA_RESULT_OK;
  volatile uint64_t *const word = (volatile uint64_t *)(uintptr_t)job->arguments[0];
  for (uint64_t i = 0; i < job->arguments[1]; i++) {
    const uint64_t value = *word;
    for (uint32_t pause = 0; pause < 100; pause++) __asm__ volatile("");
    *word = value + 1;
  }
  return MTIA_RESULT_OK;
}
