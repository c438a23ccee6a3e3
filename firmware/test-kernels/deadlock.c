/* DEADLOCK: hart 1 waits for a circular buffer that nobody fills. */
#include "mtia_kernel.h"

#define BUFFER 0u

uint32_t kernel_main(const struct mtia_job_descriptor *job, uint32_t hart) {
  (void)job;
  if (hart != 1) return MTIA_RESULT_OK;
  cb_init(BUFFER, KERNEL_BUFFERS_OFFSET, 64);
  cb_wait_data(BUFFER, 64);
  return MTIA_RESULT_OK;
}
