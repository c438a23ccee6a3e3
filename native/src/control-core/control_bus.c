/* What the harts of the control core see beside the memories that they reach by pointer: ROM, local memories, registers. */
#include <string.h>
#include "chip.h"

#define REGISTERS_BASE MTIA_TIMER_BASE
#define BLOCK_STRIDE 0x10000u
#define BLOCK_BYTES 0x1000u
#define PE_WINDOW_STRIDE 0x100000u

/* A register answers accesses of its own width; anything else in a register block is an access fault. */
struct register_block {
  bool (*read32)(struct chip *chip, uint32_t offset, uint32_t *value);
  bool (*read64)(struct chip *chip, uint32_t offset, uint64_t *value);
  bool (*write32)(struct chip *chip, uint32_t offset, uint32_t value);
  bool (*write64)(struct chip *chip, uint32_t offset, uint64_t value);
};

#define BLOCK_OF(base) [((base) - REGISTERS_BASE) / BLOCK_STRIDE]

static const struct register_block blocks[] = {
    BLOCK_OF(MTIA_TIMER_BASE) = {timer_read32, timer_read64, timer_write32, timer_write64},
    BLOCK_OF(MTIA_INTERRUPT_CONTROLLER_BASE) = {interrupt_controller_read32, NULL, interrupt_controller_write32, NULL},
    BLOCK_OF(MTIA_UART_BASE) = {uart_read32, NULL, uart_write32, NULL},
    BLOCK_OF(MTIA_MAILBOX_BASE) = {mailbox_read32, mailbox_read64, mailbox_write32, mailbox_write64},
    BLOCK_OF(MTIA_DMA_ENGINE_BASE) = {dma_engine_read32, dma_engine_read64, dma_engine_write32, dma_engine_write64},
    BLOCK_OF(MTIA_WORK_QUEUE_ENGINE_BASE) = {work_queue_engine_read32, work_queue_engine_read64, work_queue_engine_write32,
                                            work_queue_engine_write64},
    BLOCK_OF(MTIA_QUEUE_ENGINE_BASE) = {queue_engine_read32, queue_engine_read64, queue_engine_write32, queue_engine_write64},
    BLOCK_OF(MTIA_SYSTEM_CONTROL_BASE) = {system_control_read32, system_control_read64, system_control_write32, system_control_write64},
    BLOCK_OF(MTIA_WATCHDOG_BASE) = {watchdog_read32, watchdog_read64, watchdog_write32, watchdog_write64},
    BLOCK_OF(MTIA_HOST_READ_BASE) = {host_read_read32, host_read_read64, host_read_write32, host_read_write64},
};

static const struct register_block *block_at(uint64_t address, uint32_t *offset) {
  uint64_t from_base = address - REGISTERS_BASE;
  uint64_t index = from_base / BLOCK_STRIDE;
  *offset = (uint32_t)(from_base % BLOCK_STRIDE);
  return index < sizeof(blocks) / sizeof(blocks[0]) && *offset < BLOCK_BYTES ? &blocks[index] : NULL;
}

static bool inside(uint64_t address, uint64_t bytes, uint64_t base, uint64_t size) {
  return address >= base && address - base < size && bytes <= size - (address - base);
}

static uint8_t *local_memory(struct chip *chip, uint64_t address, uint64_t bytes) {
  uint64_t pe = (address - MTIA_PE_WINDOW_BASE) / PE_WINDOW_STRIDE, offset = (address - MTIA_PE_WINDOW_BASE) % PE_WINDOW_STRIDE;
  uint64_t local_bytes = 0;
  if (pe >= chip->pe_count) return NULL;
  uint8_t *local = pe_local_memory(chip->pes[pe], &local_bytes);
  return offset < local_bytes && bytes <= local_bytes - offset ? local + offset : NULL;
}

const uint8_t *control_bus_operand(struct chip *chip, uint64_t address, uint64_t bytes) {
  struct control_core *core = &chip->control_core;
  if (inside(address, bytes, MTIA_CONTEXT_SRAM_BASE, MTIA_CONTEXT_SRAM_SIZE)) {
    return core->context_sram + (address - MTIA_CONTEXT_SRAM_BASE);
  }
  if (inside(address, bytes, MTIA_DESCRIPTOR_SRAM_BASE, MTIA_DESCRIPTOR_SRAM_SIZE)) {
    return core->descriptor_sram + (address - MTIA_DESCRIPTOR_SRAM_BASE);
  }
  return NULL;
}

uint8_t *control_bus_memory(struct chip *chip, uint64_t address, uint64_t bytes, bool *read_only) {
  struct control_core *core = &chip->control_core;
  *read_only = inside(address, bytes, MTIA_BOOT_ROM_BASE, MTIA_BOOT_ROM_SIZE);
  if (*read_only) return core->boot_rom + (address - MTIA_BOOT_ROM_BASE);
  if (inside(address, bytes, MTIA_PE_WINDOW_BASE, MTIA_PE_WINDOW_SIZE)) return local_memory(chip, address, bytes);
  const uint8_t *operand = control_bus_operand(chip, address, bytes);
  return operand != NULL ? (uint8_t *)(uintptr_t)operand : memory_at(chip->memory, 0, address, bytes, MEMORY_WRITE);
}

/* Memory outside the regions: ROM, and local memories, whose PE may have a reset outstanding that would undo a write. */
static uint8_t *slow_memory(struct chip *chip, uint64_t address, uint32_t width, bool *read_only) {
  if (inside(address, width, MTIA_PE_WINDOW_BASE, MTIA_PE_WINDOW_SIZE)) {
    uint64_t pe = (address - MTIA_PE_WINDOW_BASE) / PE_WINDOW_STRIDE;
    /* In step mode this is the debugger's thread, and those that would serve the reset are at rest. */
    if (pe < chip->pe_count && chip->halted) work_queue_engine_serve_requests(chip, (uint32_t)pe);
    else if (pe < chip->pe_count) work_queue_engine_await_reset(chip, (uint32_t)pe);
  }
  return control_bus_memory(chip, address, width, read_only);
}

enum hart_access control_bus_read(void *context, struct hart *hart, uint64_t address, uint32_t width, uint64_t *value) {
  struct chip *chip = context;
  (void)hart;
  *value = 0;
  uint64_t bad;
  uint32_t offset = 0, word = 0;
  const struct register_block *block = block_at(address, &offset);
  if (block != NULL && address % width != 0) return HART_ACCESS_MISALIGNED;
  if (block == NULL) {
    bool read_only = false;
    const uint8_t *memory = slow_memory(chip, address, width, &read_only);
    if (memory == NULL) return HART_ACCESS_FAULT;
    if (!memory_is_sound(chip->memory, address, width, MEMORY_READ, &bad)) return HART_ACCESS_HARDWARE_ERROR;
    memcpy(value, memory, width);
    return HART_ACCESS_OK;
  }
  bool known = false;
  if (width == 4 && block->read32 != NULL) {
    known = block->read32(chip, offset, &word);
    *value = word;
  }
  if (width == 8 && block->read64 != NULL) known = block->read64(chip, offset, value);
  return known ? HART_ACCESS_OK : HART_ACCESS_FAULT;
}

enum hart_access control_bus_write(void *context, struct hart *hart, uint64_t address, uint32_t width, uint64_t value) {
  struct chip *chip = context;
  (void)hart;
  uint64_t bad;
  uint32_t offset = 0;
  const struct register_block *block = block_at(address, &offset);
  if (block != NULL && address % width != 0) return HART_ACCESS_MISALIGNED;
  if (block == NULL) {
    bool read_only = false;
    uint8_t *memory = slow_memory(chip, address, width, &read_only);
    if (memory == NULL || read_only) return HART_ACCESS_FAULT;
    memory_is_sound(chip->memory, address, width, MEMORY_WRITE, &bad);
    memcpy(memory, &value, width);
    return HART_ACCESS_OK;
  }
  bool known = false;
  if (width == 4 && block->write32 != NULL) known = block->write32(chip, offset, (uint32_t)value);
  if (width == 8 && block->write64 != NULL) known = block->write64(chip, offset, value);
  if (!known) return HART_ACCESS_FAULT;
  /* A write may have served a source: its line must fall before the hart looks again. */
  control_core_update_lines(chip);
  return HART_ACCESS_OK;
}

enum hart_access control_bus_atomic(void *context, struct hart *hart, uint64_t address, uint32_t width, bool writes, uint8_t **memory) {
  struct chip *chip = context;
  (void)hart;
  uint64_t bad;
  bool read_only = false;
  *memory = slow_memory(chip, address, width, &read_only);
  if (*memory == NULL || (writes && read_only)) return HART_ACCESS_FAULT;
  return memory_is_sound(chip->memory, address, width, MEMORY_READ, &bad) ? HART_ACCESS_OK : HART_ACCESS_HARDWARE_ERROR;
}

const uint8_t *control_bus_code_page(void *context, struct hart *hart, uint64_t address) {
  struct chip *chip = context;
  (void)hart;
  uint64_t page = address & ~4095ull;
  if (!inside(page, 4096, MTIA_BOOT_ROM_BASE, MTIA_BOOT_ROM_SIZE)) return NULL;
  return chip->control_core.boot_rom + (page - MTIA_BOOT_ROM_BASE);
}
