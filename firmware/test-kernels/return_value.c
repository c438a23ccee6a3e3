/* RETURN_VALUE: both harts return argument 0. */
#include "mtia_kernel.h"

uint32_t kernel_main(const struct mtia_job_descriptor *job, uint32_t hart) {
  (void)hart;
  return (uint32_t)job->arguments[0];
}
