#include "chip.h"
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include "arithmetic_path.h"

int32_t chip_thread_start(pthread_t *thread, const char *name, void *(*body)(void *), void *argument) {
  /* A new thread inherits the signal mask: signals are the business of the host's own threads. */
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int failure = pthread_create(thread, NULL, body, argument);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (failure != 0) return MTIA_ERROR_CHIP_SYSTEM;
  pthread_setname_np(*thread, name);
  return MTIA_ERROR_OK;
}

static uint64_t pe_time(void *context) { return chip_time(context); }

static struct pe *pe_peer(void *context, uint32_t index) { return ((struct chip *)context)->pes[index]; }

static uint32_t pes_of(const struct mtia_specification *specification) {
  return (uint32_t)(specification->grid_width * specification->grid_height);
}

static size_t pe_pages_bytes(const struct chip *chip) {
  return pes_of(&chip->specification) * pe_bytes(&chip->specification);
}

static int32_t create_pes(struct chip *chip) {
  const uint32_t count = pes_of(&chip->specification);
  chip->pe_environment = (struct pe_environment){
      .context = chip,
      .memory = chip->memory,
      .specification = &chip->specification,
      .time = pe_time,
      .job_done = work_queue_engine_job_done,
      .peer = pe_peer,
      .wake_peer = work_queue_engine_wake_pe,
  };
  chip->pe_code = code_cache_create();
  /* Together, because the local memories of a PE each are smaller than a large page. */
  chip->pe_pages = reserve_large_pages(pe_pages_bytes(chip));
  if (chip->pe_code == NULL || chip->pe_pages == NULL) return MTIA_ERROR_CHIP_NO_MEMORY;
  for (uint32_t index = 0; index < count; index++) {
    uint8_t *const pages = chip->pe_pages + index * pe_bytes(&chip->specification);
    chip->pes[index] = pe_create(pages, index, &chip->pe_environment, chip->pe_code, chip->arithmetic);
    if (chip->pes[index] == NULL) return MTIA_ERROR_CHIP_NO_MEMORY;
    chip->pe_count++;
  }
  return MTIA_ERROR_OK;
}

static uint32_t thread_count(const struct mtia_open_parameters *parameters) {
  if (parameters->pe_threads != 0) return parameters->pe_threads;
  long processors = sysconf(_SC_NPROCESSORS_ONLN);
  return processors < 1 ? 1 : (uint32_t)processors;
}

/* What the card has less of than its generation. */
static void reduce(struct mtia_specification *specification, const struct mtia_open_parameters *parameters) {
  if (parameters->queues != 0) specification->queues = parameters->queues;
  if (parameters->interrupt_vectors != 0) specification->interrupt_vectors = parameters->interrupt_vectors;
  if (parameters->without_broadcast != 0) specification->broadcast_dispatch = 0;
}

/* The blocks themselves; what fails leaves the rest as created by calloc. */
static int32_t create_blocks(struct chip *chip, const struct mtia_open_parameters *parameters) {
  const struct mtia_specification *specification = &chip->specification;
  uint64_t lpddr_bytes = parameters->lpddr_bytes != 0 ? parameters->lpddr_bytes : (uint64_t)specification->lpddr_bytes;
  chip->memory = memory_create((uint64_t)specification->sram_bytes, lpddr_bytes);
  int32_t status = chip->memory == NULL ? MTIA_ERROR_CHIP_NO_MEMORY : MTIA_ERROR_OK;
  if (status == MTIA_ERROR_OK) status = queue_engine_create(&chip->queue_engine);
  if (status == MTIA_ERROR_OK) status = control_core_create(chip);
  if (status == MTIA_ERROR_OK) status = create_pes(chip);
  return status;
}

static void power_on(struct chip *chip) {
  pci_inbound_reset(chip);
  control_watchdog_reset(chip);
  queue_engine_reset(chip);
  dma_engine_reset(chip);
  work_queue_engine_reset(chip);
  control_core_reset(chip);
}

static int32_t start_threads(struct chip *chip, const struct mtia_open_parameters *parameters) {
  int32_t status = dma_engine_start(chip);
  chip->scheduler.niceness = (int)parameters->pe_niceness;
  if (status == MTIA_ERROR_OK) status = scheduler_start(chip, thread_count(parameters));
  if (status == MTIA_ERROR_OK) status = control_core_start(chip);
  return status;
}

int32_t chip_create(const struct mtia_open_parameters *parameters, struct chip **result) {
  static const struct mtia_specification specifications[] = MTIA_SPECIFICATIONS;
  const struct arithmetic_path *const arithmetic = arithmetic_path_select(parameters->matmul_path);
  if (arithmetic == NULL) return MTIA_ERROR_CHIP_MATMUL_PATH;
  struct chip *chip = calloc(1, sizeof(*chip));
  if (chip == NULL) return MTIA_ERROR_CHIP_NO_MEMORY;
  chip->generation = parameters->generation;
  chip->specification = specifications[parameters->generation - 1];
  reduce(&chip->specification, parameters);
  chip->arithmetic = arithmetic;
  pthread_mutex_init(&chip->administration, NULL);
  chip_clock_start(&chip->clock);
  console_create(&chip->console);
  iommu_create(&chip->iommu);
  pci_inbound_create(&chip->pci_inbound);
  const uint32_t vectors = (uint32_t)chip->specification.interrupt_vectors;
  pci_config_create(&chip->config, parameters->generation, vectors);
  work_queue_engine_create(&chip->work_queue_engine);
  int32_t status = msix_create(&chip->msix, vectors);
  if (status == MTIA_ERROR_OK) status = create_blocks(chip, parameters);
  if (status == MTIA_ERROR_OK) {
    power_on(chip);
    status = start_threads(chip, parameters);
  }
  if (status == MTIA_ERROR_OK) *result = chip;
  else chip_destroy(chip);
  return status;
}

void chip_destroy(struct chip *chip) {
  /* The control core first: it is the one that gives the others work, and may wait for the scheduler. */
  control_core_stop(chip);
  scheduler_stop(chip);
  dma_engine_stop(chip);
  for (uint32_t index = 0; index < chip->pe_count; index++) pe_destroy(chip->pes[index]);
  release_pages(chip->pe_pages, pe_pages_bytes(chip));
  if (chip->pe_code != NULL) code_cache_destroy(chip->pe_code);
  control_core_destroy(chip);
  queue_engine_destroy(&chip->queue_engine);
  work_queue_engine_destroy(&chip->work_queue_engine);
  pci_config_destroy(&chip->config);
  iommu_destroy(&chip->iommu);
  pci_inbound_destroy(&chip->pci_inbound);
  msix_destroy(&chip->msix);
  console_destroy(&chip->console);
  memory_destroy(chip->memory);
  pthread_mutex_destroy(&chip->administration);
  free(chip);
}

void chip_fence_pes(struct chip *chip) {
  for (uint32_t pe = 0; pe < chip->pe_count; pe++) {
    for (uint32_t hart = 0; hart < (uint32_t)chip->specification.harts; hart++) {
      atomic_store(&pe_hart(chip->pes[pe], hart)->fence_request, true);
    }
  }
}

/*
 * Brings the hart threads to rest: the control core first, because it may wait for a PE to serve a reset; then the PEs.
 * Both are bounded: a slice of the control core is short, and a PE stops when it is interrupted.
 */
static void stop_harts(struct chip *chip) {
  control_core_pause(chip);
  scheduler_pause(chip);
}

static void let_harts_run(struct chip *chip) {
  scheduler_resume(&chip->scheduler);
  control_core_resume(chip);
}

void chip_function_reset(struct chip *chip) {
  pthread_mutex_lock(&chip->administration);
  if (!chip->halted) stop_harts(chip);
  dma_engine_reset(chip);
  pci_inbound_reset(chip);
  control_watchdog_reset(chip);
  queue_engine_reset(chip);
  iommu_unmap_all(&chip->iommu);
  memory_unassign_all(chip->memory);
  memory_set_up(chip->memory, MTIA_MEMORY_ECC);
  control_core_map_memory(chip);
  work_queue_engine_reset(chip);
  atomic_store(&chip->scheduler.runnable, 0);
  control_core_reset(chip);
  atomic_fetch_add(&chip->control_core.mailbox.reset_count, 1);
  /* A debugger that holds the chip keeps holding it, at the first instruction of the boot ROM. */
  if (!chip->halted) let_harts_run(chip);
  pthread_mutex_unlock(&chip->administration);
}

void chip_halt(struct chip *chip) {
  if (chip->halted) return;
  stop_harts(chip);
  chip_clock_freeze(&chip->clock);
  /* Requests that no thread has served yet: the debugger must see the PEs as the control core has left them. */
  for (uint32_t pe = 0; pe < chip->pe_count; pe++) work_queue_engine_serve_requests(chip, pe);
  chip->halted = true;
}

void chip_resume(struct chip *chip) {
  if (!chip->halted) return;
  chip->halted = false;
  chip_clock_resume(&chip->clock);
  let_harts_run(chip);
}

uint64_t chip_time(struct chip *chip) {
  const struct hart *const hart = chip->stepped.hart;
  if (hart != NULL) {
    const uint64_t mhz = (uint64_t)chip->specification.clock_mhz;
    const uint64_t passed = (hart->cycles - chip->stepped.cycles) * 1000 + chip->stepped.remainder;
    chip->stepped.cycles = hart->cycles;
    chip->stepped.remainder = passed % mhz;
    chip_clock_advance(&chip->clock, passed / mhz);
  }
  return chip_clock_now(&chip->clock);
}

void chip_step_begin(struct chip *chip, const struct hart *hart) {
  chip->stepped.hart = hart;
  chip->stepped.cycles = hart->cycles;
}

void chip_step_end(struct chip *chip) {
  chip_time(chip);
  chip->stepped.hart = NULL;
}
