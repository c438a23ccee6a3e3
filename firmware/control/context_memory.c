#include "context_memory.h"

uint32_t context_memory_read(const struct control *control, struct queue *queue, void *to, uint64_t address, uint64_t bytes) {
  if (address % sizeof(uint64_t) != 0) return refuse(queue, MTIA_ERROR_INVALID_COMMAND, address);
  if (!page_owners_allow_read(&control->owners, queue->context, address, bytes)) {
    return refuse(queue, MTIA_ERROR_MEMORY_PROTECTION, address);
  }
  const uint64_t lost = guarded_read(to, address, bytes / sizeof(uint64_t));
  return lost == 0 ? MTIA_ERROR_OK : refuse(queue, MTIA_ERROR_ECC_UNCORRECTABLE, lost);
}
