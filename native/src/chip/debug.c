/* The debug door: what JTAG offers. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include "arithmetic_path.h"
#include "device.h"
#include "matmul_peak.h"

int32_t mtia_debug_console_read(struct mtia_device *device, char *text, uint32_t bytes, uint32_t *copied) {
  struct chip *chip;
  if (copied == NULL || (text == NULL && bytes != 0)) return MTIA_ERROR_CHIP_BAD_ARGUMENT;
  int32_t status = device_enter(device, &chip);
  if (status != MTIA_ERROR_OK) return status;
  *copied = console_read(&chip->console, text, bytes);
  return device_leave(device, MTIA_ERROR_OK);
}

int32_t mtia_debug_halt(struct mtia_device *device) {
  struct chip *chip;
  int32_t status = device_enter(device, &chip);
  if (status != MTIA_ERROR_OK) return status;
  pthread_mutex_lock(&chip->administration);
  chip_halt(chip);
  pthread_mutex_unlock(&chip->administration);
  return device_leave(device, MTIA_ERROR_OK);
}

int32_t mtia_debug_resume(struct mtia_device *device) {
  struct chip *chip;
  int32_t status = device_enter(device, &chip);
  if (status != MTIA_ERROR_OK) return status;
  pthread_mutex_lock(&chip->administration);
  chip_resume(chip);
  pthread_mutex_unlock(&chip->administration);
  return device_leave(device, MTIA_ERROR_OK);
}

static struct hart *find_hart(struct chip *chip, uint32_t core, uint32_t hart) {
  if (core == MTIA_DEBUG_CONTROL_CORE) return hart < chip->control_core.hart_count ? &chip->control_core.harts[hart] : NULL;
  bool exists = core < chip->pe_count && hart < (uint32_t)chip->specification.harts;
  return exists ? pe_hart(chip->pes[core], hart) : NULL;
}

/* A program counter that moves takes a waiting hart out of its wait. */
static void wake_hart(struct chip *chip, uint32_t core, uint32_t hart) {
  if (core == MTIA_DEBUG_CONTROL_CORE) atomic_fetch_and(&chip->control_core.waiting, ~(1u << hart));
  else scheduler_notify(&chip->scheduler, 1ull << core);
}

static int32_t access_register(struct chip *chip, uint32_t core, uint32_t number_of_hart, uint32_t number, uint64_t *read,
                               const uint64_t *write) {
  struct hart *hart = find_hart(chip, core, number_of_hart);
  int32_t status = MTIA_ERROR_OK;
  pthread_mutex_lock(&chip->administration);
  if (hart == NULL) {
    status = MTIA_ERROR_CHIP_BAD_ARGUMENT;
  } else if (!chip->halted) {
    status = MTIA_ERROR_CHIP_NOT_HALTED;
  } else if (read != NULL) {
    if (!hart_register_read(hart, number, read)) status = MTIA_ERROR_CHIP_BAD_ARGUMENT;
  } else if (hart_register_write(hart, number, *write)) {
    wake_hart(chip, core, number_of_hart);
  } else {
    status = MTIA_ERROR_CHIP_BAD_ARGUMENT;
  }
  pthread_mutex_unlock(&chip->administration);
  return status;
}

int32_t mtia_debug_register_read(struct mtia_device *device, uint32_t core, uint32_t hart, uint32_t number, uint64_t *value) {
  struct chip *chip;
  if (value == NULL) return MTIA_ERROR_CHIP_BAD_ARGUMENT;
  int32_t status = device_enter(device, &chip);
  return status != MTIA_ERROR_OK ? status : device_leave(device, access_register(chip, core, hart, number, value, NULL));
}

int32_t mtia_debug_register_write(struct mtia_device *device, uint32_t core, uint32_t hart, uint32_t number, uint64_t value) {
  struct chip *chip;
  int32_t status = device_enter(device, &chip);
  return status != MTIA_ERROR_OK ? status : device_leave(device, access_register(chip, core, hart, number, NULL, &value));
}

/* Memory as the core sees it, or NULL. */
static uint8_t *find_memory(struct chip *chip, uint32_t core, uint64_t address, uint64_t bytes, bool *read_only) {
  *read_only = false;
  if (core == MTIA_DEBUG_CONTROL_CORE) return control_bus_memory(chip, address, bytes, read_only);
  if (core >= chip->pe_count) return NULL;
  uint64_t local_bytes = 0;
  uint8_t *local = pe_local_memory(chip->pes[core], &local_bytes);
  uint64_t offset = address - MTIA_PE_LOCAL_BASE;
  if (offset < local_bytes) return bytes <= local_bytes - offset ? local + offset : NULL;
  return memory_at(chip->memory, 0, address, bytes, MEMORY_WRITE);
}

/* Any hart may have decoded what was written. */
static void fence_all(struct chip *chip) {
  struct control_core *core = &chip->control_core;
  for (uint32_t hart = 0; hart < core->hart_count; hart++) atomic_store(&core->harts[hart].fence_request, true);
  chip_fence_pes(chip);
}

static int32_t access_memory(struct chip *chip, uint32_t core, uint64_t address, void *read, const void *write,
                             uint64_t bytes) {
  bool read_only = false;
  int32_t status = MTIA_ERROR_OK;
  pthread_mutex_lock(&chip->administration);
  uint8_t *memory = bytes == 0 ? NULL : find_memory(chip, core, address, bytes, &read_only);
  if (!chip->halted) {
    status = MTIA_ERROR_CHIP_NOT_HALTED;
  } else if (bytes == 0) {
    status = MTIA_ERROR_OK;
  } else if (memory == NULL || (write != NULL && read_only)) {
    status = MTIA_ERROR_CHIP_BAD_ARGUMENT;
  } else if (write == NULL) {
    memcpy(read, memory, bytes);
  } else {
    memcpy(memory, write, bytes);
    fence_all(chip);
  }
  pthread_mutex_unlock(&chip->administration);
  return status;
}

int32_t mtia_debug_memory_read(struct mtia_device *device, uint32_t core, uint64_t address, void *data, uint64_t bytes) {
  struct chip *chip;
  if (data == NULL && bytes != 0) return MTIA_ERROR_CHIP_BAD_ARGUMENT;
  int32_t status = device_enter(device, &chip);
  return status != MTIA_ERROR_OK ? status : device_leave(device, access_memory(chip, core, address, data, NULL, bytes));
}

int32_t mtia_debug_memory_write(struct mtia_device *device, uint32_t core, uint64_t address, const void *data, uint64_t bytes) {
  struct chip *chip;
  if (data == NULL && bytes != 0) return MTIA_ERROR_CHIP_BAD_ARGUMENT;
  int32_t status = device_enter(device, &chip);
  if (status != MTIA_ERROR_OK) return status;
  const uint8_t nothing = 0;
  return device_leave(device, access_memory(chip, core, address, NULL, bytes == 0 ? &nothing : data, bytes));
}

static int32_t run_hart(struct chip *chip, uint32_t core, uint32_t number, uint32_t instructions, uint32_t *executed,
                        uint32_t *stop) {
  struct hart *hart = find_hart(chip, core, number);
  if (hart == NULL) return MTIA_ERROR_CHIP_BAD_ARGUMENT;
  if (!chip->halted) return MTIA_ERROR_CHIP_NOT_HALTED;
  if (core != MTIA_DEBUG_CONTROL_CORE) work_queue_engine_serve_requests(chip, core);
  uint64_t before = hart->instructions;
  chip_step_begin(chip, hart);
  enum hart_stop why = core == MTIA_DEBUG_CONTROL_CORE ? control_core_run_hart(chip, number, instructions)
                                                       : pe_run_hart(chip->pes[core], number, instructions);
  chip_step_end(chip);
  *executed = (uint32_t)(hart->instructions - before);
  *stop = why == HART_WAITING ? MTIA_DEBUG_WAITS : why == HART_STALLED ? MTIA_DEBUG_STALLED : MTIA_DEBUG_RAN;
  return MTIA_ERROR_OK;
}

int32_t mtia_debug_run(struct mtia_device *device, uint32_t core, uint32_t hart, uint32_t instructions, uint32_t *executed,
                       uint32_t *stop) {
  struct chip *chip;
  bool bounded = instructions != 0 && instructions <= MTIA_DEBUG_MOST_INSTRUCTIONS;
  if (executed == NULL || stop == NULL || !bounded) return MTIA_ERROR_CHIP_BAD_ARGUMENT;
  int32_t status = device_enter(device, &chip);
  if (status != MTIA_ERROR_OK) return status;
  pthread_mutex_lock(&chip->administration);
  status = run_hart(chip, core, hart, instructions, executed, stop);
  pthread_mutex_unlock(&chip->administration);
  return device_leave(device, status);
}

int32_t mtia_debug_inject_error(struct mtia_device *device, uint64_t address, uint64_t bits) {
  struct chip *chip;
  int32_t status = device_enter(device, &chip);
  return status != MTIA_ERROR_OK ? status : device_leave(device, memory_inject_error(chip->memory, address, bits));
}

static void add_memory_counters(struct mtia_memory_counters *counters, struct published_counters *of) {
  counters->sram_read_bytes += atomic_load(&of->sram_read_bytes);
  counters->sram_written_bytes += atomic_load(&of->sram_written_bytes);
  counters->lpddr_read_bytes += atomic_load(&of->lpddr_read_bytes);
  counters->lpddr_written_bytes += atomic_load(&of->lpddr_written_bytes);
  counters->multicast_saved_bytes += atomic_load(&of->multicast_saved_bytes);
  counters->cache_hit_bytes += atomic_load(&of->cache_hit_bytes);
  counters->cache_missed_bytes += atomic_load(&of->cache_missed_bytes);
  counters->cache_written_back_bytes += atomic_load(&of->cache_written_back_bytes);
}

int32_t mtia_debug_memory_counters(struct mtia_device *device, struct mtia_memory_counters *counters) {
  struct chip *chip;
  struct mtia_memory_counters all = {0};
  const uint32_t bytes = counters == NULL ? 0 : counters->struct_bytes;
  if (bytes < offsetof(struct mtia_memory_counters, sram_read_bytes) || bytes > sizeof all) return MTIA_ERROR_CHIP_BAD_ARGUMENT;
  int32_t status = device_enter(device, &chip);
  if (status != MTIA_ERROR_OK) return status;
  all.struct_bytes = bytes;
  memory_read_errors(chip->memory, &all.ecc_corrected, &all.ecc_uncorrectable);
  for (uint32_t pe = 0; pe < chip->pe_count; pe++) add_memory_counters(&all, &chip->scheduler.counters[pe]);
  memcpy(counters, &all, bytes);
  return device_leave(device, MTIA_ERROR_OK);
}

static void control_wait_reason(struct chip *chip, uint32_t hart, char *text, uint32_t bytes) {
  if (hart == 0 && pci_inbound_describe(chip, text, bytes)) return;
  bool waits = (atomic_load(&chip->control_core.waiting) >> hart & 1) != 0;
  snprintf(text, bytes, "%s", waits ? "wfi" : "running");
}

/* A PE that is being run cannot be looked at; one that is not is kept from running meanwhile. */
static void pe_reason(struct chip *chip, uint32_t pe, uint32_t hart, char *text, uint32_t bytes) {
  bool out_of_reset = (atomic_load(&chip->work_queue_engine.out_of_reset) >> pe & 1) != 0;
  if (!out_of_reset) {
    snprintf(text, bytes, "in reset");
  } else if (scheduler_try_claim(&chip->scheduler, pe)) {
    pe_wait_reason(chip->pes[pe], hart, text, bytes);
    scheduler_release(&chip->scheduler, pe);
  } else {
    snprintf(text, bytes, "running");
  }
}

int32_t mtia_debug_wait_reason(struct mtia_device *device, uint32_t core, uint32_t hart, char *text, uint32_t bytes) {
  struct chip *chip;
  if (text == NULL || bytes == 0) return MTIA_ERROR_CHIP_BAD_ARGUMENT;
  int32_t status = device_enter(device, &chip);
  if (status != MTIA_ERROR_OK) return status;
  if (find_hart(chip, core, hart) == NULL) return device_leave(device, MTIA_ERROR_CHIP_BAD_ARGUMENT);
  pthread_mutex_lock(&chip->administration);
  if (core == MTIA_DEBUG_CONTROL_CORE) control_wait_reason(chip, hart, text, bytes);
  else pe_reason(chip, core, hart, text, bytes);
  pthread_mutex_unlock(&chip->administration);
  return device_leave(device, MTIA_ERROR_OK);
}

static void count_host_interface(struct chip *chip, struct mtia_counters *counters) {
  struct host_counters *host = &chip->host_counters;
  counters->doorbells = atomic_load(&host->doorbells);
  counters->entries_fetched = atomic_load(&host->entries_fetched);
  counters->posted_writes = atomic_load(&host->posted_writes);
  counters->read_completions = atomic_load(&host->read_completions);
  counters->host_to_device_bytes = atomic_load(&host->host_to_device_bytes);
  counters->device_to_host_bytes = atomic_load(&host->device_to_host_bytes);
  counters->decompressed_bytes = atomic_load(&host->decompressed_bytes);
  counters->interrupts = atomic_load(&chip->msix.sent);
}

int32_t mtia_debug_counters(struct mtia_device *device, struct mtia_counters *counters) {
  struct chip *chip;
  if (counters == NULL || counters->struct_bytes != sizeof(*counters)) return MTIA_ERROR_CHIP_BAD_ARGUMENT;
  int32_t status = device_enter(device, &chip);
  if (status != MTIA_ERROR_OK) return status;
  *counters = (struct mtia_counters){.struct_bytes = sizeof(*counters)};
  counters->control_instructions = atomic_load(&chip->control_core.instructions);
  counters->dma_bytes = atomic_load(&chip->dma_engine.bytes);
  counters->jobs = atomic_load(&chip->work_queue_engine.jobs);
  count_host_interface(chip, counters);
  for (uint32_t pe = 0; pe < chip->pe_count; pe++) {
    counters->pe_instructions += atomic_load(&chip->scheduler.counters[pe].instructions);
    counters->unit_commands += atomic_load(&chip->scheduler.counters[pe].unit_commands);
    counters->dma_bytes += atomic_load(&chip->scheduler.counters[pe].dma_bytes);
    counters->matmul_multiplies += atomic_load(&chip->scheduler.counters[pe].matmul_multiplies);
  }
  return device_leave(device, MTIA_ERROR_OK);
}

_Static_assert(sizeof(((struct mtia_pe_counters *)0)->commands) == MTIA_UNITS * sizeof(uint64_t), "one for each unit");

int32_t mtia_debug_pe_counters(struct mtia_device *device, uint32_t pe, struct mtia_pe_counters *counters) {
  struct chip *chip;
  if (counters == NULL || counters->struct_bytes != sizeof(*counters)) return MTIA_ERROR_CHIP_BAD_ARGUMENT;
  int32_t status = device_enter(device, &chip);
  if (status != MTIA_ERROR_OK) return status;
  if (pe >= chip->pe_count) return device_leave(device, MTIA_ERROR_CHIP_BAD_ARGUMENT);
  *counters = (struct mtia_pe_counters){.struct_bytes = sizeof(*counters)};
  for (uint32_t unit = 0; unit < MTIA_UNITS; unit++) {
    counters->busy_cycles[unit] = atomic_load(&chip->scheduler.unit_counters[pe].busy_cycles[unit]);
    counters->commands[unit] = atomic_load(&chip->scheduler.unit_counters[pe].commands[unit]);
  }
  for (uint32_t hart = 0; hart < 2; hart++)
    counters->stall_cycles[hart] = atomic_load(&chip->scheduler.unit_counters[pe].stall_cycles[hart]);
  return device_leave(device, MTIA_ERROR_OK);
}

int32_t mtia_debug_matmul_path(struct mtia_device *device, char *text, uint32_t bytes) {
  struct chip *chip;
  if (text == NULL || bytes == 0) return MTIA_ERROR_CHIP_BAD_ARGUMENT;
  int32_t status = device_enter(device, &chip);
  if (status != MTIA_ERROR_OK) return status;
  snprintf(text, bytes, "%s", chip->arithmetic->name);
  return device_leave(device, MTIA_ERROR_OK);
}

int32_t mtia_debug_matmul_peak(struct mtia_device *device, uint32_t type, uint32_t threads, uint64_t *multiplies_a_second) {
  struct chip *chip;
  const bool product_type = type == MTIA_TYPE_INT8 || type == MTIA_TYPE_FP16 || type == MTIA_TYPE_BF16;
  if (!product_type || threads < 1 || threads > MATMUL_PEAK_MOST_THREADS || multiplies_a_second == NULL)
    return MTIA_ERROR_CHIP_BAD_ARGUMENT;
  int32_t status = device_enter(device, &chip);
  if (status != MTIA_ERROR_OK) return status;
  if (!matmul_peak(chip->arithmetic->matmul, type, threads, multiplies_a_second)) status = MTIA_ERROR_CHIP_SYSTEM;
  return device_leave(device, status);
}
