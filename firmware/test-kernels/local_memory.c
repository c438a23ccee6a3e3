/*
 * LOCAL_MEMORY: the PE at place i stores as word i at the address in argument 0 how many words of its local memory are not
 * zero, fills them, and returns argument 1.
 */
#include "mtia_kernel.h"

#define BYTES 65536u
#define PATTERN 0x5a5a5a5a5a5a5a5aull

uint32_t kernel_main(const struct mtia_job_descriptor *job, uint32_t hart) {
  struct pe_place place;
  if (!find_place(job, &place)) return MTIA_RESULT_BAD_GRID;
  if (job->argument_words < 2) return MTIA_RESULT_BAD_ARGUMENT;
  if (hart != 0) return MTIA_RESULT_OK;
  volatile uint64_t *const local = local_pointer(KERNEL_SHARED_OFFSET);
  uint64_t used = 0;
  for (uint32_t word = 0; word < BYTES / sizeof *local; word++) {
    used += local[word] != 0;
    local[word] = PATTERN;
  }
  ((volatile uint64_t *)(uintptr_t)job->arguments[0])[place.index] = used;
  return (uint32_t)job->arguments[1];
}
