/*
 * One thread runs the harts of the control core in turn and, between two slices, the queue engine. So registers of the
 * control core need no lock: every access comes from this thread. Other threads leave their news in atomics (doorbells,
 * finished jobs and copies) and notify `wake`; the thread takes its ticket before it looks at any of them.
 */
#include "control_core.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "chip.h"
#include "generated/boot_rom.h"

/* A slice bounds how long a doorbell or an interrupt to the host waits behind running firmware. */
#define SLICE_INSTRUCTIONS 1024
/* After its last instruction the thread looks this long for news before it sleeps. */
#define LINGER_NS 30000
#define MODERATION_NS 16000

#define INTERRUPT_SOFTWARE (1ull << 3)
#define INTERRUPT_TIMER (1ull << 7)
#define INTERRUPT_EXTERNAL (1ull << 11)

_Static_assert(sizeof(boot_rom) <= MTIA_BOOT_ROM_SIZE, "the boot ROM does not fit");

static uint64_t control_time(void *context) { return chip_time(context); }

static enum hart_custom control_custom(void *context, struct hart *hart, uint32_t instruction, uint64_t rs1, uint64_t rs2,
                                       uint64_t *result, uint64_t *cause) {
  (void)context, (void)hart, (void)instruction, (void)rs1, (void)rs2, (void)result, (void)cause;
  return HART_CUSTOM_ILLEGAL; /* unit commands exist in PEs only */
}

static struct hart_region memory_region(struct chip *chip, uint64_t base, uint64_t bytes) {
  return (struct hart_region){base, bytes, memory_at(chip->memory, 0, base, bytes, MEMORY_WRITE), 1, 1, 0};
}

/* Of the regions below. */
#define REGION_LPDDR 2
#define REGION_SRAM 3

static void set_regions(struct chip *chip, struct hart *hart) {
  struct control_core *core = &chip->control_core;
  hart->regions[0] = (struct hart_region){MTIA_CONTEXT_SRAM_BASE, MTIA_CONTEXT_SRAM_SIZE, core->context_sram, 1, 1, 1};
  hart->regions[1] = (struct hart_region){MTIA_DESCRIPTOR_SRAM_BASE, MTIA_DESCRIPTOR_SRAM_SIZE, core->descriptor_sram, 1, 1, 0};
  hart->regions[REGION_LPDDR] = memory_region(chip, MTIA_LPDDR_BASE, memory_lpddr_bytes(chip->memory));
  hart->regions[REGION_SRAM] = memory_region(chip, MTIA_SRAM_BASE, (uint64_t)chip->specification.sram_bytes);
}

void control_core_map_memory(struct chip *chip) {
  struct control_core *core = &chip->control_core;
  /* While LPDDR holds flipped bits, harts reach it over the bus, which asks the error-correcting code. */
  const uint64_t lpddr_bytes = memory_has_errors(chip->memory) ? 0 : memory_lpddr_bytes(chip->memory);
  for (uint32_t hart = 0; hart < core->hart_count; hart++) {
    core->harts[hart].regions[REGION_LPDDR].bytes = lpddr_bytes;
    core->harts[hart].regions[REGION_SRAM].bytes = memory_scratchpad_bytes(chip->memory);
  }
}

int32_t control_core_create(struct chip *chip) {
  struct control_core *core = &chip->control_core;
  pthread_mutex_init(&core->pause_lock, NULL);
  pthread_cond_init(&core->pause_changed, NULL);
  core->hart_count = (uint32_t)chip->specification.control_harts;
  core->boot_rom = reserve_pages(MTIA_BOOT_ROM_SIZE);
  core->context_sram = reserve_pages(MTIA_CONTEXT_SRAM_SIZE);
  core->descriptor_sram = reserve_pages(MTIA_DESCRIPTOR_SRAM_SIZE);
  core->code = code_cache_create();
  if (core->boot_rom == NULL || core->context_sram == NULL || core->descriptor_sram == NULL || core->code == NULL) {
    return MTIA_ERROR_CHIP_NO_MEMORY;
  }
  memcpy(core->boot_rom, boot_rom, sizeof(boot_rom));
  core->environment = (struct hart_environment){
      .context = chip,
      .read = control_bus_read,
      .write = control_bus_write,
      .atomic = control_bus_atomic,
      .code_page = control_bus_code_page,
      .custom = control_custom,
      .time = control_time,
  };
  for (uint32_t index = 0; index < core->hart_count; index++) {
    int status = hart_create(&core->harts[index], index, &core->environment, core->code);
    if (status != 0) return status;
    core->harts_created++;
    set_regions(chip, &core->harts[index]);
  }
  return MTIA_ERROR_OK;
}

void control_core_destroy(struct chip *chip) {
  struct control_core *core = &chip->control_core;
  for (uint32_t index = 0; index < core->harts_created; index++) hart_destroy(&core->harts[index]);
  if (core->code != NULL) code_cache_destroy(core->code);
  release_pages(core->boot_rom, MTIA_BOOT_ROM_SIZE);
  release_pages(core->context_sram, MTIA_CONTEXT_SRAM_SIZE);
  release_pages(core->descriptor_sram, MTIA_DESCRIPTOR_SRAM_SIZE);
  pthread_mutex_destroy(&core->pause_lock);
  pthread_cond_destroy(&core->pause_changed);
}

static void reset_mailbox(struct mailbox *mailbox) {
  atomic_store(&mailbox->boot_status, MTIA_BOOT_RESET);
  atomic_store(&mailbox->boot_error, 0);
  atomic_store(&mailbox->firmware_version, 0);
  atomic_store(&mailbox->firmware_abi, 0);
  atomic_store(&mailbox->boot_doorbell, 0);
  atomic_store(&mailbox->boot_memory, 0);
  atomic_store(&mailbox->firmware_capabilities, 0);
  atomic_store(&mailbox->boot_image_address, 0);
  atomic_store(&mailbox->boot_image_bytes, 0);
  atomic_store(&mailbox->window_base, 0);
  atomic_store(&mailbox->panic_cause, 0);
  atomic_store(&mailbox->panic_pc, 0);
  atomic_store(&mailbox->panic_value, 0);
}

void control_core_reset(struct chip *chip) {
  struct control_core *core = &chip->control_core;
  /* Dropping the pages zeroes them. */
  madvise(core->context_sram, MTIA_CONTEXT_SRAM_SIZE, MADV_DONTNEED);
  madvise(core->descriptor_sram, MTIA_DESCRIPTOR_SRAM_SIZE, MADV_DONTNEED);
  reset_mailbox(&core->mailbox);
  core->timer_due = 0;
  core->protection_address = 0;
  core->protection_pages = core->protection_error = 0;
  for (uint32_t index = 0; index < CONTROL_HARTS; index++) {
    core->timer_compare[index] = UINT64_MAX;
    core->software_interrupt[index] = 0;
    core->interrupt_enable[index] = 0;
  }
  for (uint32_t index = 0; index < core->hart_count; index++) {
    hart_reset(&core->harts[index], MTIA_BOOT_ROM_BASE);
    atomic_store(&core->harts[index].mip, 0);
    atomic_store(&core->harts[index].halt_request, false);
    atomic_store(&core->harts[index].fence_request, true);
  }
  atomic_store(&core->waiting, 0);
}

static uint32_t pending_sources(struct chip *chip) {
  uint32_t pending = 0;
  if (atomic_load(&chip->control_core.mailbox.boot_doorbell) != 0) pending |= 1u << MTIA_INTERRUPT_MAILBOX;
  if (queue_engine_pending(&chip->queue_engine) != 0) pending |= 1u << MTIA_INTERRUPT_SUBMISSION;
  if (dma_engine_finished(&chip->dma_engine)) pending |= 1u << MTIA_INTERRUPT_MEMORY_COPY_DONE;
  if (atomic_load(&chip->work_queue_engine.done) != 0) pending |= 1u << MTIA_INTERRUPT_JOB_DONE;
  if (atomic_load(&chip->queue_engine.changed) != 0) pending |= 1u << MTIA_INTERRUPT_QUEUE_CHANGED;
  return pending;
}

bool interrupt_controller_read32(struct chip *chip, uint32_t offset, uint32_t *value) {
  if (offset == MTIA_INTERRUPT_CONTROLLER_PENDING) {
    *value = pending_sources(chip);
    return true;
  }
  uint32_t hart = (offset - MTIA_INTERRUPT_CONTROLLER_ENABLE) / 4;
  if (offset < MTIA_INTERRUPT_CONTROLLER_ENABLE || hart >= CONTROL_HARTS) return false;
  *value = chip->control_core.interrupt_enable[hart];
  return true;
}

bool interrupt_controller_write32(struct chip *chip, uint32_t offset, uint32_t value) {
  uint32_t hart = (offset - MTIA_INTERRUPT_CONTROLLER_ENABLE) / 4;
  if (offset < MTIA_INTERRUPT_CONTROLLER_ENABLE || hart >= CONTROL_HARTS) return offset == MTIA_INTERRUPT_CONTROLLER_PENDING;
  chip->control_core.interrupt_enable[hart] = value;
  return true;
}

void control_core_update_lines(struct chip *chip) {
  struct control_core *core = &chip->control_core;
  uint32_t pending = pending_sources(chip);
  for (uint32_t index = 0; index < core->hart_count; index++) {
    uint64_t lines = 0;
    if ((core->timer_due >> index & 1) != 0) lines |= INTERRUPT_TIMER;
    if (core->software_interrupt[index] != 0) lines |= INTERRUPT_SOFTWARE;
    if ((pending & core->interrupt_enable[index]) != 0) lines |= INTERRUPT_EXTERNAL;
    atomic_store_explicit(&core->harts[index].mip, lines, memory_order_relaxed);
  }
}

void control_core_update_timers(struct chip *chip) {
  struct control_core *core = &chip->control_core;
  uint64_t now = 0;
  core->timer_due = 0;
  for (uint32_t index = 0; index < core->hart_count; index++) {
    if (core->timer_compare[index] == UINT64_MAX) continue;
    if (now == 0) now = chip_clock_now(&chip->clock);
    if (now >= core->timer_compare[index]) core->timer_due |= 1u << index;
  }
}

static bool can_run(const struct hart *hart) { return (atomic_load(&hart->mip) & hart->mie) != 0; }

/* Gives every hart that does not wait a slice. True where one still has something to do. */
static bool run_harts(struct chip *chip) {
  struct control_core *core = &chip->control_core;
  uint32_t waiting = atomic_load_explicit(&core->waiting, memory_order_relaxed);
  uint64_t instructions = 0;
  control_core_map_memory(chip);
  for (uint32_t index = 0; index < core->hart_count; index++) {
    struct hart *hart = &core->harts[index];
    uint32_t bit = 1u << index;
    if ((waiting & bit) != 0 && !can_run(hart)) continue;
    uint64_t before = hart->instructions;
    if (hart_run(hart, SLICE_INSTRUCTIONS) == HART_WAITING) waiting |= bit;
    else waiting &= ~bit;
    instructions += hart->instructions - before;
  }
  atomic_store_explicit(&core->waiting, waiting, memory_order_relaxed);
  atomic_fetch_add_explicit(&core->instructions, instructions, memory_order_relaxed);
  return waiting != (1u << core->hart_count) - 1;
}

enum hart_stop control_core_run_hart(struct chip *chip, uint32_t index, uint64_t instructions) {
  struct control_core *core = &chip->control_core;
  struct hart *hart = &core->harts[index];
  control_core_update_timers(chip);
  control_core_update_lines(chip);
  control_core_map_memory(chip);
  const uint64_t before = hart->instructions;
  hart->regions[REGION_SRAM].executable = 1;
  enum hart_stop stop = hart_run(hart, instructions);
  hart->regions[REGION_SRAM].executable = 0;
  /* What it has decoded there is not to run once the chip runs again. */
  atomic_store(&hart->fence_request, true);
  if (stop == HART_WAITING) atomic_fetch_or(&core->waiting, 1u << index);
  else atomic_fetch_and(&core->waiting, ~(1u << index));
  atomic_fetch_add(&core->instructions, hart->instructions - before);
  return stop;
}

/* How long until a timer interrupt makes a waiting hart run. */
static uint64_t time_to_sleep(struct chip *chip) {
  struct control_core *core = &chip->control_core;
  uint64_t first = UINT64_MAX;
  if (atomic_load(&chip->control_watchdog.recorded) != 0) return EVENT_COUNT_FOREVER;
  for (uint32_t index = 0; index < core->hart_count; index++) {
    bool counts = (core->harts[index].mie & INTERRUPT_TIMER) != 0;
    if (counts && core->timer_compare[index] < first) first = core->timer_compare[index];
  }
  if (first == UINT64_MAX) return EVENT_COUNT_FOREVER;
  uint64_t now = chip_clock_now(&chip->clock);
  return now >= first ? 0 : first - now;
}

/*
 * Stands still while anyone wants it to. A pause right behind a resume may find the thread still in here: at_rest is true
 * then and stays so, because the thread looks at the count again, under the lock, before it leaves.
 */
static void rest(struct control_core *core) {
  pthread_mutex_lock(&core->pause_lock);
  core->at_rest = true;
  pthread_cond_broadcast(&core->pause_changed);
  while (atomic_load(&core->pause_count) != 0) pthread_cond_wait(&core->pause_changed, &core->pause_lock);
  core->at_rest = false;
  pthread_mutex_unlock(&core->pause_lock);
}

/*
 * Interrupt moderation: while the core is busy, completions that follow each other closely share an interrupt. A core that
 * has nothing more to do delivers at once, so a command that comes alone never waits.
 */
static void deliver_interrupts(struct chip *chip, bool busy) {
  if (atomic_load_explicit(&chip->msix.pending, memory_order_relaxed) == 0) return;
  uint64_t now = host_time_ns();
  if (busy && now - chip->control_core.interrupts_delivered_at < MODERATION_NS) return;
  chip->control_core.interrupts_delivered_at = now;
  msix_deliver(&chip->msix);
}

static void *control_thread(void *argument) {
  struct chip *chip = argument;
  struct control_core *core = &chip->control_core;
  for (;;) {
    uint32_t ticket = event_count_prepare(&core->wake);
    if (atomic_load(&core->pause_count) != 0) rest(core);
    if (atomic_load(&core->stopping)) return NULL;
    queue_engine_service(chip);
    control_core_update_timers(chip);
    control_core_update_lines(chip);
    bool more = !control_watchdog_look(chip) && run_harts(chip);
    work_queue_engine_finish_start(chip, !more);
    more |= event_count_changed(&core->wake, ticket);
    deliver_interrupts(chip, more);
    if (more) {
      dma_engine_hand_over(chip);
      continue;
    }
    if (!dma_engine_attend(chip)) event_count_spin_then_wait(&core->wake, ticket, LINGER_NS, time_to_sleep(chip));
  }
}

int32_t control_core_start(struct chip *chip) {
  int32_t status = chip_thread_start(&chip->control_core.thread, "mtia-control", control_thread, chip);
  chip->control_core.thread_runs = status == MTIA_ERROR_OK;
  return status;
}

void control_core_stop(struct chip *chip) {
  struct control_core *core = &chip->control_core;
  if (!core->thread_runs) return;
  atomic_store(&core->stopping, true);
  pthread_mutex_lock(&core->pause_lock);
  atomic_store(&core->pause_count, 0);
  pthread_cond_broadcast(&core->pause_changed);
  pthread_mutex_unlock(&core->pause_lock);
  control_core_notify(chip);
  pthread_join(core->thread, NULL);
  core->thread_runs = false;
}

void control_core_notify(struct chip *chip) { event_count_notify(&chip->control_core.wake, 1); }

void control_core_pause(struct chip *chip) {
  struct control_core *core = &chip->control_core;
  atomic_fetch_add(&core->pause_count, 1);
  control_core_notify(chip);
  pthread_mutex_lock(&core->pause_lock);
  while (!core->at_rest) pthread_cond_wait(&core->pause_changed, &core->pause_lock);
  pthread_mutex_unlock(&core->pause_lock);
}

void control_core_resume(struct chip *chip) {
  struct control_core *core = &chip->control_core;
  pthread_mutex_lock(&core->pause_lock);
  atomic_fetch_sub(&core->pause_count, 1);
  pthread_cond_broadcast(&core->pause_changed);
  pthread_mutex_unlock(&core->pause_lock);
}
