/* A processing element: life, jobs, and turns of its two harts. Units and commands: command_processor.h. */
#include "pe.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "arithmetic_path.h"
#include "pe_internal.h"

/*
 * Instructions of a turn. Which hart has the next turn follows from device cycles alone, so that the same job takes the same
 * cycles on any host; within a turn a hart may run ahead of the other's clock by this much.
 */
#define TURN_INSTRUCTIONS 1024
/* Instructions that harts may take to come to rest before a job is handed over to them. */
#define SETTLE_INSTRUCTIONS 4096

/* Of a PE and of its local memory in the host's. */
#define HOST_PAGE_BYTES 4096ull

#define MIP_EXTERNAL (1ull << 11)
#define MSTATUS_MIE (1ull << 3)

/* ---- Time model ---- */

static uint64_t fixed_point(double cycles_a_byte) { return (uint64_t)llround(cycles_a_byte * 65536.0); }

/* SRAM and LPDDR are shared evenly by the PEs of the job's rectangle. */
static void share_bandwidth(struct pe *pe, uint32_t players) {
  const struct mtia_specification *const s = pe->environment.specification;
  const double gigahertz = s->clock_mhz / 1000.0;
  if (players == 0) players = 1;
  pe->time.sram = fixed_point(players * gigahertz / s->sram_gbs);
  const double ecc = (memory_setup(pe->environment.memory) & MTIA_MEMORY_ECC) != 0 ? s->ecc_cost : 0;
  pe->time.lpddr = fixed_point(players * gigahertz / (s->lpddr_gbs * s->lpddr_efficiency * (1 - ecc)));
}

static void time_model_init(struct pe *pe) {
  const struct mtia_specification *const s = pe->environment.specification;
  struct time_model *const time = &pe->time;
  time->local_memory = fixed_point(s->clock_mhz / 1000.0 / s->local_memory_gbs);
  time->noc = fixed_point(1.0 / s->network_bytes_per_cycle);
  time->se_elements = (uint64_t)s->se_elements_per_cycle;
  time->dpe_k_bytes = (uint64_t)s->dpe_bytes_of_kper_cycle;
  time->dma_request = (uint64_t)s->dma_request_cycles;
  time->sram_latency = (uint64_t)s->sram_latency_cycles;
  time->lpddr_latency = time->sram_latency + (uint64_t)llround(s->lpddr_access_ns * s->clock_mhz / 1000.0);
  share_bandwidth(pe, 1);
}

static uint64_t time_of(void *context) {
  struct pe *const pe = context;
  return pe->environment.time(pe->environment.context);
}

/* ---- Life ---- */

static bool prepare_hart(struct pe *pe, uint32_t number, struct code_cache *code) {
  struct hart *const hart = &pe->hart[number];
  if (hart_create(hart, number, &pe->hart_environment, code) != 0) return false;
  hart->environment = &pe->hart_environment;
  hart->regions[0] = (struct hart_region){
      .base = MTIA_PE_LOCAL_BASE, .bytes = pe->local_bytes, .memory = pe->local_memory, .readable = 1, .writable = 1};
  pe->standing[number] = STANDING_WAITING; /* in reset */
  return true;
}

/* An odd number of pages: a power of two apart, the same places of all PEs would share sets of the host's caches. */
static size_t own_bytes(void) { return (sizeof(struct pe) / (2 * HOST_PAGE_BYTES) * 2 + 3) * HOST_PAGE_BYTES; }

size_t pe_bytes(const struct mtia_specification *specification) {
  return own_bytes() + (size_t)specification->local_memory_bytes;
}

struct pe *pe_create(uint8_t *pages, uint32_t index, const struct pe_environment *environment, struct code_cache *code,
                     const struct arithmetic_path *arithmetic) {
  struct pe *const pe = (struct pe *)pages;
  pe->index = index;
  pe->environment = *environment;
  pe->generation = (uint32_t)environment->specification->generation_number;
  pe->local_bytes = (uint64_t)environment->specification->local_memory_bytes;
  pe->matmul = arithmetic->matmul;
  pe->se = arithmetic->se;
  pe->hart_environment = (struct hart_environment){.context = pe, .read = pe_hart_read, .write = pe_hart_write,
                                                   .atomic = pe_hart_atomic, .code_page = pe_hart_code_page,
                                                   .custom = command_processor_custom, .time = time_of};
  time_model_init(pe);
  pe->local_memory = pages + own_bytes();
  pe->local_is_fresh = true;
  if (!pe_links_create(pe)) return NULL;
  if (!sram_cache_create(&pe->cache, (uint64_t)environment->specification->sram_bytes)) {
    sram_cache_destroy(&pe->cache);
    pe_links_destroy(pe);
    return NULL;
  }
  for (uint32_t number = 0; number < PE_HARTS; number++) {
    if (prepare_hart(pe, number, code)) continue;
    while (number-- > 0) hart_destroy(&pe->hart[number]);
    pe_links_destroy(pe);
    sram_cache_destroy(&pe->cache);
    return NULL;
  }
  return pe;
}

void pe_destroy(struct pe *pe) {
  if (pe == NULL) return;
  sram_cache_destroy(&pe->cache);
  for (uint32_t number = 0; number < PE_HARTS; number++) hart_destroy(&pe->hart[number]);
  pe_links_destroy(pe);
}

void pe_reset(struct pe *pe, uint64_t vector) {
  const uint64_t cycles = later(later(pe->hart[0].cycles, pe->hart[1].cycles), command_processor_done(&pe->cp));
  for (uint32_t number = 0; number < PE_HARTS; number++) {
    struct hart *const hart = &pe->hart[number];
    hart_reset(hart, vector);
    atomic_store(&hart->mip, 0);
    hart->cycles = cycles;
    pe->standing[number] = STANDING_RUNNABLE;
    pe->software_interrupt[number] = 0;
  }
  command_processor_clear(&pe->cp);
  memset(pe->accumulators, 0, sizeof pe->accumulators);
  memset(pe->accumulator_states, 0, sizeof pe->accumulator_states);
  memset(pe->tables, 0, sizeof pe->tables);
  if (!pe->local_is_fresh) memset(pe->local_memory, 0, pe->local_bytes);
  pe->local_is_fresh = false;
  memset(&pe->fault, 0, sizeof pe->fault);
  pe_links_end_job(pe);
  pe->has_job = pe->work_pending = false;
  pe->turn_left = 0;
  pe->context = 0;
}

/* ---- Jobs ---- */

void pe_start_job(struct pe *pe, const struct mtia_job_descriptor *descriptor, uint64_t number) {
  memcpy(pe->local_memory, descriptor, sizeof *descriptor);
  memset(&pe->fault, 0, sizeof pe->fault);
  share_bandwidth(pe, (uint32_t)descriptor->columns * descriptor->rows);
  const uint64_t cache_bytes = (uint64_t)(memory_setup(pe->environment.memory) & MTIA_MEMORY_CACHE_GRANULES_MASK) *
                               MTIA_MEMORY_SRAM_GRANULE_BYTES;
  pe->counters.cache_written_back_bytes +=
      sram_cache_start(&pe->cache, cache_bytes, descriptor->columns, descriptor->rows);
  pe->rectangle = (struct pe_rectangle){descriptor->column, descriptor->row, descriptor->columns, descriptor->rows};
  pe_links_begin_job(pe, number);
  pe->context = descriptor->context;
  pe->has_job = true;
  pe->work_pending = false;
  pe->settle_left = SETTLE_INSTRUCTIONS;
}

/*
 * The job starts in device time when both harts have come to rest: how far they had come on the way from the job before
 * depends on when the host called pe_start_job, and device time must not.
 */
static void hand_over_job(struct pe *pe) {
  pe->job_start = later(pe->hart[0].cycles, pe->hart[1].cycles);
  pe->hart[0].cycles = pe->hart[1].cycles = pe->job_start;
  pe->turn_left = 0;
  pe_drop_cached_lines(pe); /* what the jobs before left there must not show in this one's time */
  pe->work_pending = true;
  atomic_fetch_or(&pe->hart[0].mip, MIP_EXTERNAL);
}

void pe_finish_job(struct pe *pe, struct hart *hart, uint32_t result) {
  if (!pe->work_pending) return;
  hart->cycles = later(hart->cycles, command_processor_done(&pe->cp));
  struct pe_report report = pe->fault;
  report.result = result;
  report.cycles = hart->cycles - pe->job_start;
  command_processor_clear(&pe->cp);
  pe_links_end_job(pe);
  pe->has_job = pe->work_pending = false;
  pe->context = MEMORY_NOBODY; /* after a failure the other hart may still be in the kernel */
  atomic_fetch_and(&pe->hart[0].mip, ~MIP_EXTERNAL);
  pe->environment.job_done(pe->environment.context, pe, &report);
}

/* ---- Turns ---- */

static bool can_run(struct pe *pe, uint32_t number) {
  struct hart *const hart = &pe->hart[number];
  if (pe->standing[number] == STANDING_RUNNABLE || pe->cp.late[number].cause != 0) return true;
  const bool interrupted = (atomic_load(&hart->mip) & hart->mie) != 0;
  if (pe->standing[number] == STANDING_WAITING) return interrupted;
  return command_processor_may_go_on(pe, number) || (interrupted && (hart->mstatus & MSTATUS_MIE) != 0);
}

/*
 * The hart whose clock is behind, of those that can run; PE_HARTS: none. A turn that a budget cut short goes on, so that
 * budgets do not decide who runs when.
 */
static uint32_t next_hart(struct pe *pe) {
  if (pe->turn_left != 0 && pe->standing[pe->turn_hart] == STANDING_RUNNABLE) return pe->turn_hart;
  const bool first = can_run(pe, 0), second = can_run(pe, 1);
  pe->turn_left = TURN_INSTRUCTIONS;
  pe->turn_hart = first && second ? pe->hart[1].cycles < pe->hart[0].cycles : !first;
  return first || second ? pe->turn_hart : PE_HARTS;
}

static enum hart_stop take_turn(struct pe *pe, uint32_t number, uint64_t instructions) {
  struct hart *const hart = &pe->hart[number];
  struct command_fault *const late = &pe->cp.late[number];
  if (late->cause != 0) {
    hart_raise(hart, late->cause, late->value);
    late->cause = 0;
    pe->cp.stalled[number].description = NULL;
  }
  const enum hart_stop stop = hart_run(hart, instructions);
  pe->standing[number] = stop == HART_WAITING   ? STANDING_WAITING
                         : stop == HART_STALLED ? STANDING_STALLED
                                                : STANDING_RUNNABLE;
  return stop;
}

enum pe_state pe_run(struct pe *pe, uint64_t budget) {
  while (budget != 0) {
    if (atomic_load_explicit(&pe->interrupted, memory_order_relaxed)) {
      atomic_store(&pe->interrupted, false);
      return PE_RUNNABLE;
    }
    uint32_t number = next_hart(pe);
    if (pe->has_job && !pe->work_pending && (number == PE_HARTS || pe->settle_left == 0)) {
      hand_over_job(pe);
      number = next_hart(pe);
    }
    if (number == PE_HARTS && !pe->has_job) return PE_IDLE;
    if (number == PE_HARTS) {
      if (!pe_links_admit(pe)) return PE_BLOCKED;
      continue;
    }
    const uint64_t before = pe->hart[number].instructions;
    const enum hart_stop stop = take_turn(pe, number, budget < pe->turn_left ? budget : pe->turn_left);
    const uint64_t ran = pe->hart[number].instructions - before;
    budget -= ran < budget ? ran : budget;
    pe->turn_left -= ran < pe->turn_left ? ran : pe->turn_left;
    pe->settle_left -= ran < pe->settle_left ? ran : pe->settle_left;
    if (stop == HART_HALTED) return PE_RUNNABLE;
  }
  if (pe->has_job) pe_links_admit_while_spinning(pe);
  return PE_RUNNABLE;
}

enum hart_stop pe_run_hart(struct pe *pe, uint32_t number, uint64_t instructions) {
  if (!can_run(pe, number) && pe->has_job) pe_links_admit(pe);
  return take_turn(pe, number, instructions);
}

void pe_interrupt(struct pe *pe) { atomic_store(&pe->interrupted, true); }

/* ---- What the chip asks ---- */

uint32_t pe_index(const struct pe *pe) { return pe->index; }
struct hart *pe_hart(struct pe *pe, uint32_t hart) { return &pe->hart[hart]; }

uint8_t *pe_local_memory(struct pe *pe, uint64_t *bytes) {
  *bytes = pe->local_bytes;
  pe->local_is_fresh = false; /* the caller may write */
  return pe->local_memory;
}

uint64_t pe_instructions(const struct pe *pe) { return pe->hart[0].instructions + pe->hart[1].instructions; }

void pe_read_counters(const struct pe *pe, struct pe_counters *counters) {
  *counters = pe->counters;
  counters->instructions = pe_instructions(pe);
  counters->unit_commands = pe->cp.executed;
  const uint64_t *const busy = pe->time.busy;
  counters->busy_cycles[MTIA_UNIT_FI] = busy[LINE_FI_GET] + busy[LINE_FI_PUT];
  counters->busy_cycles[MTIA_UNIT_DPE] = busy[LINE_DPE];
  counters->busy_cycles[MTIA_UNIT_RE] = busy[LINE_RE];
  counters->busy_cycles[MTIA_UNIT_SE] = busy[LINE_SE];
  counters->busy_cycles[MTIA_UNIT_MLU] = busy[LINE_MLU];
}

uint32_t pe_hart_at(const struct pe *pe, uint32_t hart, uint64_t *pc) {
  *pc = pe->hart[hart].pc;
  if (pe->standing[hart] == STANDING_WAITING) return MTIA_HART_AT_WAITS_FOR_INTERRUPT;
  const bool stalled = pe->standing[hart] == STANDING_STALLED && pe->cp.stalled[hart].description != NULL;
  return stalled ? pe->cp.stalled[hart].code : MTIA_HART_AT_RUNS;
}

void pe_wait_reason(const struct pe *pe, uint32_t hart, char *text, uint32_t bytes) {
  if (pe->standing[hart] == STANDING_STALLED)
    command_processor_wait_reason(pe, hart, text, bytes);
  else
    snprintf(text, bytes, "%s", pe->standing[hart] == STANDING_WAITING ? "wfi" : "running");
}
