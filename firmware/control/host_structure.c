#include "host_structure.h"
#if MTIA_TEST_READS_HOST_MEMORY
#include "mmio.h"

#define WORDS 64

uint32_t host_structure_read(struct queue *queue) {
  uint64_t sum = 0;
  for (uint32_t word = 0; word < WORDS; word++) {
    uint32_t status;
    mmio_write64(REGISTER(HOST_READ, ADDRESS), queue->submission.a + word * sizeof(uint64_t));
    mmio_write32(REGISTER(HOST_READ, CONTEXT), queue->context);
    mmio_write32(REGISTER(HOST_READ, START), 1);
    do status = mmio_read32(REGISTER(HOST_READ, STATUS));
    while (status == MTIA_HOST_READ_BUSY);
    if (status != MTIA_HOST_READ_DONE) return refuse(queue, MTIA_ERROR_HOST_ADDRESS_FAULT, queue->submission.a);
    sum += mmio_read64(REGISTER(HOST_READ, DATA));
  }
  /* As device time, so that a test sees what was read. */
  queue->completion.device_ns = sum;
  return MTIA_ERROR_OK;
}
#endif
