/* DMA_OUT_OF_BOUNDS: the fabric interface puts 64 bytes to the address in argument 0, which the context does not own. */
#include "mtia_kernel.h"

#define BUFFER 0u

uint32_t kernel_main(const struct mtia_job_descriptor *job, uint32_t hart) {
  if (hart != 0) return MTIA_RESULT_OK;
  cb_init(BUFFER, KERNEL_BUFFERS_OFFSET, 64);
  cb_push(BUFFER, 64);
  dma_shape(1, 64);
  dma_strides(64, 64);
  dma_out(job->arguments[0], BUFFER);
  return MTIA_RESULT_OK;
}
