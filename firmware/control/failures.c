#include "failures.h"
#include "mmio.h"

/* Indexed by what a kernel returned. */
static const uint8_t ERROR_OF_RESULT[] = {
    [MTIA_RESULT_BAD_GRID] = MTIA_ERROR_INVALID_GRID,
    [MTIA_RESULT_BAD_ARGUMENT] = MTIA_ERROR_INVALID_COMMAND,
    [MTIA_RESULT_INDEX_OUT_OF_RANGE] = MTIA_ERROR_INDEX_OUT_OF_RANGE,
    [MTIA_RESULT_LOCAL_MEMORY] = MTIA_ERROR_INSUFFICIENT_LOCAL_MEMORY,
};

/* Causes of the privileged specification. */
#define LOAD_ACCESS_FAULT 5
#define STORE_ACCESS_FAULT 7

/* Indexed by mcause. */
static const uint8_t ERROR_OF_TRAP[] = {
    [LOAD_ACCESS_FAULT] = MTIA_ERROR_MEMORY_PROTECTION,
    [STORE_ACCESS_FAULT] = MTIA_ERROR_MEMORY_PROTECTION,
    [MTIA_EXCEPTION_HARDWARE_ERROR] = MTIA_ERROR_ECC_UNCORRECTABLE,
    [MTIA_EXCEPTION_ILLEGAL_COMMAND] = MTIA_ERROR_ILLEGAL_UNIT_COMMAND,
    [MTIA_EXCEPTION_COMMAND_BUS_FAULT] = MTIA_ERROR_MEMORY_PROTECTION,
    [MTIA_EXCEPTION_COMMAND_INDEX_FAULT] = MTIA_ERROR_INDEX_OUT_OF_RANGE,
};

static uint32_t look_up(const uint8_t *table, uint64_t size, uint64_t cause, uint32_t otherwise) {
  return cause < size && table[cause] != 0 ? table[cause] : otherwise;
}

uint32_t failure_read(struct queue *queue, uint32_t result) {
  struct mtia_completion *completion = &queue->completion;
  completion->place = mmio_read32(REGISTER(WORK_QUEUE_ENGINE, FAULT_PLACE));
  completion->cause = mmio_read64(REGISTER(WORK_QUEUE_ENGINE, FAULT_CAUSE));
  completion->pc = mmio_read64(REGISTER(WORK_QUEUE_ENGINE, FAULT_PC));
  completion->value = mmio_read64(REGISTER(WORK_QUEUE_ENGINE, FAULT_VALUE));
  if (result == MTIA_ERROR_KERNEL_ERROR) return look_up(ERROR_OF_RESULT, sizeof ERROR_OF_RESULT, completion->cause, result);
  if (result == MTIA_ERROR_KERNEL_FAULT) return look_up(ERROR_OF_TRAP, sizeof ERROR_OF_TRAP, completion->cause, result);
  return result;
}

void failure_describe_stand(struct queue *queue, uint32_t pe) {
  struct mtia_completion *completion = &queue->completion;
  mmio_write32(REGISTER(WORK_QUEUE_ENGINE, LOOK_PE), pe);
  const uint32_t first = mmio_read32(REGISTER(WORK_QUEUE_ENGINE, HART_AT));
  const uint32_t second = mmio_read32(REGISTER(WORK_QUEUE_ENGINE, HART_AT) + 4);
  /* The hart that is told of at length is one that stands at a unit command; else, one that runs. */
  const uint32_t hart = first >= MTIA_HART_AT_WAITS_FOR_INTERRUPT && second < first ? 1 : 0;
  completion->place = pe | hart << 16;
  completion->cause = first | second << 8;
  completion->pc = mmio_read64(REGISTER(WORK_QUEUE_ENGINE, HART_PC) + 8 * hart);
  completion->value = mmio_read64(REGISTER(WORK_QUEUE_ENGINE, HART_PC) + 8 * (1 - hart));
}
