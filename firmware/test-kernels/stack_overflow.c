/* STACK_OVERFLOW: hart 0 calls itself argument 0 times: a million is more than local memory holds. */
#include "mtia_kernel.h"

static uint32_t __attribute__((noinline)) descend(uint64_t depth, uint64_t depths) {
  volatile uint32_t frame[64];
  frame[depth % 64] = (uint32_t)depth;
  return depth == depths ? 0 : descend(depth + 1, depths) + frame[depth % 64];
}

uint32_t kernel_main(const struct mtia_job_descriptor *job, uint32_t hart) {
  return hart == 0 ? descend(0, job->arguments[0]) : MTIA_RESULT_OK;
}
