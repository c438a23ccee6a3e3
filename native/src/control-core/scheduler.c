#include "scheduler.h"
#include <stdio.h>
#include <unistd.h>
#include "chip.h"

#define PE_BIT(pe) (1ull << (pe))
/* Long enough that claiming a PE is free, short enough that PEs which wait for each other take turns quickly. */
#define SLICE_INSTRUCTIONS 50000
/* What a caller of run_briefly spares: it has other things to do, and each instruction may be a unit command. */
#define BRIEF_INSTRUCTIONS 256
/* A thread that has just run a PE looks this long for the next one before it sleeps. */
#define LINGER_NS 20000
/* pe_interrupt may meet a PE just before its slice begins; it is repeated until the PE has stopped. */
#define INTERRUPT_PERIOD_NS 200000

static uint64_t candidates(struct scheduler *scheduler) {
  return atomic_load(&scheduler->runnable) & ~atomic_load(&scheduler->running);
}

/* Next bit of the set at or above `from`, cyclic: every runnable PE gets its turn. */
static uint32_t next_pe(uint64_t set, uint32_t from) {
  uint64_t above = set & ~(PE_BIT(from) - 1);
  return (uint32_t)__builtin_ctzll(above != 0 ? above : set);
}

static void give_back(struct scheduler *scheduler, uint32_t pe) {
  atomic_fetch_and(&scheduler->running, ~PE_BIT(pe));
  if (atomic_load(&scheduler->paused)) event_count_notify(&scheduler->quiet, CHIP_PES);
}

/* Claims a PE that has work; false where there is none. */
static bool claim(struct scheduler *scheduler, uint32_t from, uint32_t *pe) {
  for (;;) {
    if (atomic_load(&scheduler->paused)) return false;
    uint64_t set = candidates(scheduler);
    if (set == 0) return false;
    *pe = next_pe(set, from);
    if (!scheduler_try_claim(scheduler, *pe)) continue;
    /* A pause that did not see this claim is seen here, and the other way round. */
    if (atomic_load(&scheduler->paused)) {
      give_back(scheduler, *pe);
      return false;
    }
    if ((atomic_fetch_and(&scheduler->runnable, ~PE_BIT(*pe)) & PE_BIT(*pe)) != 0) return true;
    give_back(scheduler, *pe); /* another thread ran it in between */
  }
}

static void publish(_Atomic uint64_t *to, const uint64_t *from, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) atomic_store_explicit(&to[i], from[i], memory_order_relaxed);
}
static void publish_one(_Atomic uint64_t *to, uint64_t value) { publish(to, &value, 1); }

void scheduler_publish_counters(struct chip *chip, uint32_t pe) {
  struct pe_counters counters;
  pe_read_counters(chip->pes[pe], &counters);
  struct published_counters *const published = &chip->scheduler.counters[pe];
  publish_one(&published->instructions, counters.instructions);
  publish_one(&published->unit_commands, counters.unit_commands);
  publish_one(&published->dma_bytes, counters.dma_bytes);
  publish_one(&published->matmul_multiplies, counters.matmul_multiplies);
  publish_one(&published->sram_read_bytes, counters.sram_read_bytes);
  publish_one(&published->sram_written_bytes, counters.sram_written_bytes);
  publish_one(&published->lpddr_read_bytes, counters.lpddr_read_bytes);
  publish_one(&published->lpddr_written_bytes, counters.lpddr_written_bytes);
  publish_one(&published->cache_hit_bytes, counters.cache_hit_bytes);
  publish_one(&published->cache_missed_bytes, counters.cache_missed_bytes);
  publish_one(&published->cache_written_back_bytes, counters.cache_written_back_bytes);
  publish_one(&published->multicast_saved_bytes, counters.multicast_saved_bytes);
  publish(chip->scheduler.unit_counters[pe].busy_cycles, counters.busy_cycles, MTIA_UNITS);
  publish(chip->scheduler.unit_counters[pe].commands, counters.commands, MTIA_UNITS);
  publish(chip->scheduler.unit_counters[pe].stall_cycles, counters.stall_cycles, 2);
}

static void publish_stands(struct chip *chip, uint32_t pe) {
  for (uint32_t hart = 0; hart < 2; hart++) {
    uint64_t pc;
    publish_one(&chip->scheduler.stands[pe].at[hart], pe_hart_at(chip->pes[pe], hart, &pc));
    publish_one(&chip->scheduler.stands[pe].pc[hart], pc);
  }
}

static void run_slice(struct chip *chip, uint32_t pe, uint64_t instructions) {
  if (!work_queue_engine_serve_requests(chip, pe)) return;
  enum pe_state state = pe_run(chip->pes[pe], instructions);
  scheduler_publish_counters(chip, pe);
  publish_stands(chip, pe);
  if (state == PE_RUNNABLE) scheduler_run_again(&chip->scheduler, pe);
  if (state == PE_BLOCKED) work_queue_engine_pe_blocked(chip, pe);
}

void scheduler_run_briefly(struct chip *chip, uint32_t pe) {
  struct scheduler *scheduler = &chip->scheduler;
  /* The caller is the thread that a pause stops first, so nothing is paused here. */
  if (!scheduler_try_claim(scheduler, pe)) {
    scheduler_notify(scheduler, PE_BIT(pe));
    return;
  }
  run_slice(chip, pe, BRIEF_INSTRUCTIONS);
  scheduler_release(scheduler, pe);
}

static void *scheduler_body(void *argument) {
  struct scheduler_thread *self = argument;
  struct scheduler *scheduler = &self->chip->scheduler;
  uint32_t from = 0, pe = 0;
  /* On Linux of this thread alone. Where it fails, everything works at the priority it has. */
  if (scheduler->niceness != 0) (void)nice(scheduler->niceness);
  uint64_t spin_ns = 0;
  for (;;) {
    uint32_t ticket = event_count_prepare(&scheduler->work);
    if (atomic_load(&scheduler->stopping)) return NULL;
    if (!claim(scheduler, from, &pe)) {
      event_count_spin_then_wait(&scheduler->work, ticket, spin_ns, EVENT_COUNT_FOREVER);
      spin_ns = 0;
      continue;
    }
    /* More work than threads awake: a PE whose announcement found every thread busy is not left behind. */
    if (candidates(scheduler) != 0 && atomic_load(&scheduler->work.sleepers) != 0) event_count_notify(&scheduler->work, 1);
    run_slice(self->chip, pe, SLICE_INSTRUCTIONS);
    give_back(scheduler, pe);
    from = (pe + 1) % CHIP_PES;
    spin_ns = LINGER_NS;
  }
}

int32_t scheduler_start(struct chip *chip, uint32_t threads) {
  struct scheduler *scheduler = &chip->scheduler;
  for (uint32_t index = 0; index < threads && index < CHIP_PES; index++) {
    struct scheduler_thread *thread = &scheduler->threads[index];
    char name[16];
    thread->chip = chip;
    snprintf(name, sizeof(name), "mtia-pe-%u", index);
    int32_t status = chip_thread_start(&thread->thread, name, scheduler_body, thread);
    if (status != MTIA_ERROR_OK) return status;
    scheduler->thread_count++;
  }
  return MTIA_ERROR_OK;
}

void scheduler_stop(struct chip *chip) {
  struct scheduler *scheduler = &chip->scheduler;
  scheduler_pause(chip);
  atomic_store(&scheduler->stopping, true);
  event_count_notify(&scheduler->work, CHIP_PES);
  for (uint32_t index = 0; index < scheduler->thread_count; index++) pthread_join(scheduler->threads[index].thread, NULL);
  scheduler->thread_count = 0;
}

void scheduler_notify(struct scheduler *scheduler, uint64_t pes) {
  if (pes == 0) return;
  atomic_fetch_or(&scheduler->runnable, pes);
  uint32_t count = (uint32_t)__builtin_popcountll(pes);
  event_count_notify(&scheduler->work, count < scheduler->thread_count ? count : scheduler->thread_count);
}

void scheduler_run_again(struct scheduler *scheduler, uint32_t pe) { atomic_fetch_or(&scheduler->runnable, PE_BIT(pe)); }

void scheduler_pause(struct chip *chip) {
  struct scheduler *scheduler = &chip->scheduler;
  atomic_store(&scheduler->paused, true);
  for (;;) {
    uint32_t ticket = event_count_prepare(&scheduler->quiet);
    uint64_t running = atomic_load(&scheduler->running);
    if (running == 0) return;
    for (; running != 0; running &= running - 1) pe_interrupt(chip->pes[__builtin_ctzll(running)]);
    event_count_wait(&scheduler->quiet, ticket, INTERRUPT_PERIOD_NS);
  }
}

void scheduler_resume(struct scheduler *scheduler) {
  atomic_store(&scheduler->paused, false);
  event_count_notify(&scheduler->work, CHIP_PES);
}

void scheduler_quiesce(struct chip *chip) {
  /* In step mode the PEs are at rest, and stay so. Whoever pauses the scheduler otherwise has stopped this thread first. */
  if (chip->halted) return;
  scheduler_pause(chip);
  scheduler_resume(&chip->scheduler);
}

bool scheduler_try_claim(struct scheduler *scheduler, uint32_t pe) {
  return (atomic_fetch_or(&scheduler->running, PE_BIT(pe)) & PE_BIT(pe)) == 0;
}

void scheduler_release(struct scheduler *scheduler, uint32_t pe) {
  give_back(scheduler, pe);
  /* Work announced meanwhile woke threads that could not have the PE. */
  if ((atomic_load(&scheduler->runnable) & PE_BIT(pe)) != 0) event_count_notify(&scheduler->work, 1);
}
