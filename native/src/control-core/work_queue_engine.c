/*
 * START, STOP and PE_RESET come from the control thread while the PEs run on other threads, so none touches a PE: they leave
 * a request, and the thread that next claims the PE serves it (reset first). A PE that is inside pe_run keeps running until
 * its slice ends or pe_interrupt takes effect; what it still reports after a reset was requested is dropped, because the
 * request and the report are ordered by the lock.
 *
 * A PE has two jobs at most: the one it works on, and the next, which it starts when it has reported the first. The control
 * core hands jobs over one after the other, so any two jobs lie in the same order at all PEs that have both, and PEs that
 * wait for each other within a job cannot wait for each other across jobs.
 */
#include "work_queue_engine.h"
#include <stddef.h>
#include <string.h>
#include "chip.h"
#include "pe_link.h"

#define PE_BIT(pe) (1ull << (pe))

void work_queue_engine_create(struct work_queue_engine *engine) { pthread_mutex_init(&engine->lock, NULL); }

void work_queue_engine_destroy(struct work_queue_engine *engine) { pthread_mutex_destroy(&engine->lock); }

static bool reset_outstanding(const struct pe_request *request) { return request->resets_requested != request->resets_served; }

static void clear_slot(struct job_slot *slot, uint32_t pes) {
  *slot = (struct job_slot){.armed = pes, .remaining = pes, .failing_pe = CHIP_PES};
}

void work_queue_engine_reset(struct chip *chip) {
  struct work_queue_engine *engine = &chip->work_queue_engine;
  pthread_mutex_lock(&engine->lock);
  for (uint32_t slot = 0; slot < MTIA_LIMIT_JOB_SLOTS; slot++) clear_slot(&engine->slots[slot], 0);
  for (uint32_t pe = 0; pe < CHIP_PES; pe++) {
    struct pe_request *request = &engine->requests[pe];
    request->count = 0;
    request->started = request->failed = false;
    request->resets_served = request->resets_requested;
  }
  atomic_store(&engine->out_of_reset, 0);
  atomic_store(&engine->busy, 0);
  atomic_store(&engine->full, 0);
  atomic_store(&engine->blocked, 0);
  atomic_store(&engine->done, 0);
  engine->has_quiet_start = false;
  engine->descriptor_address = engine->reset_vector = 0;
  engine->rectangle = engine->slot = engine->error = engine->look_pe = 0;
  pthread_mutex_unlock(&engine->lock);
}

/* --- the jobs of a PE; the lock is held --- */

static struct pe_job *job_at(struct pe_request *request, uint32_t place) {
  return &request->jobs[(request->first + place) % PE_JOBS];
}

/* A report that comes while a reset is outstanding is none. */
static bool works_on_a_job(const struct pe_request *request) { return request->started && !reset_outstanding(request); }

/* NULL: the slot was armed for another job meanwhile. */
static struct job_slot *slot_of(struct work_queue_engine *engine, const struct pe_job *job) {
  struct job_slot *slot = &engine->slots[job->slot];
  return slot->job == job->number ? slot : NULL;
}

static void set_bit(_Atomic uint64_t *bits, uint64_t bit, bool set) {
  if (set) atomic_fetch_or(bits, bit);
  else atomic_fetch_and(bits, ~bit);
}

static void count_jobs(struct work_queue_engine *engine, uint32_t pe, uint32_t count) {
  engine->requests[pe].count = count;
  set_bit(&engine->busy, PE_BIT(pe), count > 0);
  set_bit(&engine->full, PE_BIT(pe), count == PE_JOBS);
}

/* The one that the PE works on or was about to start. */
static void remove_first(struct work_queue_engine *engine, uint32_t pe) {
  struct pe_request *request = &engine->requests[pe];
  request->first = (request->first + 1) % PE_JOBS;
  request->started = false;
  atomic_fetch_and(&engine->blocked, ~PE_BIT(pe));
  count_jobs(engine, pe, request->count - 1);
}

static void request_reset(struct work_queue_engine *engine, uint32_t pe) {
  struct pe_request *request = &engine->requests[pe];
  request->resets_requested++;
  request->reset_vector = engine->reset_vector;
  request->failed = false;
}

/* --- threads that run PEs --- */

static void start_first(struct chip *chip, uint32_t pe) {
  struct work_queue_engine *engine = &chip->work_queue_engine;
  struct pe_request *request = &engine->requests[pe];
  const struct pe_job *job = job_at(request, 0);
  struct job_slot *slot = slot_of(engine, job);
  request->started = true;
  if (slot != NULL) {
    slot->begun |= PE_BIT(pe);
    const bool all = (uint32_t)__builtin_popcountll(slot->begun) == slot->armed;
    if (all) slot->start_time = chip_clock_now(&chip->clock);
  }
  pe_start_job(chip->pes[pe], &job->descriptor, job->number);
}

bool work_queue_engine_serve_requests(struct chip *chip, uint32_t pe) {
  struct work_queue_engine *engine = &chip->work_queue_engine;
  struct pe_request *request = &engine->requests[pe];
  pthread_mutex_lock(&engine->lock);
  while (reset_outstanding(request)) {
    uint32_t serving = request->resets_requested;
    uint64_t vector = request->reset_vector;
    /* Clearing the local memory takes a while; another request meanwhile makes one more round. */
    pthread_mutex_unlock(&engine->lock);
    pe_reset(chip->pes[pe], vector);
    pthread_mutex_lock(&engine->lock);
    request->resets_served = serving;
    event_count_notify(&engine->reset_served, 1);
  }
  if (request->count > 0 && !request->started && !request->failed) start_first(chip, pe);
  bool runs = (atomic_load(&engine->out_of_reset) & PE_BIT(pe)) != 0;
  pthread_mutex_unlock(&engine->lock);
  return runs;
}

void work_queue_engine_wake_pe(void *context, struct pe *arrived_at) {
  struct chip *chip = context;
  struct work_queue_engine *engine = &chip->work_queue_engine;
  const uint64_t bit = PE_BIT(pe_index(arrived_at));
  /* The PE becomes blocked first and looks for arrivals then (below); its peer lets them arrive first and looks here then. */
  if ((atomic_load(&engine->blocked) & bit) == 0) return;
  pthread_mutex_lock(&engine->lock);
  const bool was_blocked = (atomic_fetch_and(&engine->blocked, ~bit) & bit) != 0;
  pthread_mutex_unlock(&engine->lock);
  if (was_blocked) scheduler_notify(&chip->scheduler, bit);
}

/* The PEs that may go on of a job whose PEs have all come to rest, as bits. The lock is held. */
static uint64_t admit_at_rest(struct chip *chip, const struct job_slot *slot) {
  struct work_queue_engine *engine = &chip->work_queue_engine;
  const uint64_t working = slot->working;
  if ((uint32_t)__builtin_popcountll(slot->pes) != slot->armed) return 0; /* MTIA v1: not all have it yet */
  if ((working & ~slot->begun) != 0) return 0;                            /* some have an earlier job to end */
  if (working == 0 || (working & ~atomic_load(&engine->blocked)) != 0) return 0;
  const uint64_t awake = pe_links_admit_first(chip->pes, working);
  atomic_fetch_and(&engine->blocked, ~awake);
  return awake;
}

void work_queue_engine_pe_blocked(struct chip *chip, uint32_t pe) {
  struct work_queue_engine *engine = &chip->work_queue_engine;
  struct pe_request *request = &engine->requests[pe];
  uint64_t awake = 0;
  pthread_mutex_lock(&engine->lock);
  if (works_on_a_job(request)) {
    const struct job_slot *slot = slot_of(engine, job_at(request, 0));
    atomic_fetch_or(&engine->blocked, PE_BIT(pe));
    if (pe_links_have_news(chip->pes[pe])) {
      awake = PE_BIT(pe);
      atomic_fetch_and(&engine->blocked, ~awake);
    } else if (slot != NULL) {
      awake = admit_at_rest(chip, slot);
    }
  }
  pthread_mutex_unlock(&engine->lock);
  scheduler_notify(&chip->scheduler, awake);
}

static void record(struct job_slot *slot, uint32_t pe, const struct pe_report *report) {
  slot->working &= ~PE_BIT(pe);
  if (report->result != MTIA_ERROR_OK) slot->failed |= PE_BIT(pe);
  if (report->cycles > slot->most_cycles) slot->most_cycles = report->cycles;
  /* The lowest PE speaks for the job, whichever reported first. */
  if (report->result != MTIA_ERROR_OK && pe < slot->failing_pe) {
    slot->failing_pe = pe;
    slot->failure = *report;
  }
  if (slot->remaining > 0) slot->remaining--;
}

void work_queue_engine_job_done(void *context, struct pe *reporting, const struct pe_report *report) {
  struct chip *chip = context;
  struct work_queue_engine *engine = &chip->work_queue_engine;
  uint32_t pe = pe_index(reporting);
  struct pe_request *request = &engine->requests[pe];
  bool done = false;
  uint64_t awake = 0;
  /* Whoever learns that the job is over finds all of it counted. */
  scheduler_publish_counters(chip, pe);
  pthread_mutex_lock(&engine->lock);
  if (works_on_a_job(request)) {
    const struct pe_job *job = job_at(request, 0);
    struct job_slot *slot = slot_of(engine, job);
    if (slot != NULL) record(slot, pe, report);
    done = slot != NULL && slot->remaining == 0;
    if (done) atomic_fetch_or(&engine->done, 1ull << job->slot);
    remove_first(engine, pe);
    request->failed = report->result != MTIA_ERROR_OK;
    if (request->count > 0 && !request->failed) scheduler_run_again(&chip->scheduler, pe);
    if (slot != NULL) awake = admit_at_rest(chip, slot);
  }
  pthread_mutex_unlock(&engine->lock);
  scheduler_notify(&chip->scheduler, awake);
  if (done) control_core_notify(chip);
}

/* --- control thread --- */

/* PEs whose reset was requested. */
static void see_to_resets(struct chip *chip, uint64_t mask) {
  for (uint64_t left = mask; left != 0; left &= left - 1) pe_interrupt(chip->pes[__builtin_ctzll(left)]);
  scheduler_notify(&chip->scheduler, mask);
}

/* The PE will not start the job at that place. */
static void withdraw(struct chip *chip, uint32_t pe, uint32_t place) {
  struct work_queue_engine *engine = &chip->work_queue_engine;
  struct pe_request *request = &engine->requests[pe];
  pe_links_withdraw_job(chip->pes[pe], job_at(request, place)->number);
  if (place == 0) remove_first(engine, pe);
  else count_jobs(engine, pe, request->count - 1);
}

static void forget_jobs(struct chip *chip, uint32_t pe) {
  struct work_queue_engine *engine = &chip->work_queue_engine;
  struct pe_request *request = &engine->requests[pe];
  while (request->count > 0) {
    const uint32_t last = request->count - 1;
    struct job_slot *slot = slot_of(engine, job_at(request, last));
    if (slot != NULL) slot->working &= ~PE_BIT(pe);
    if (last == 0 && request->started) remove_first(engine, pe);
    else withdraw(chip, pe, last);
  }
}

void work_queue_engine_reset_pes(struct chip *chip, uint64_t mask) {
  struct work_queue_engine *engine = &chip->work_queue_engine;
  mask &= chip->pe_count == CHIP_PES ? UINT64_MAX : PE_BIT(chip->pe_count) - 1;
  pthread_mutex_lock(&engine->lock);
  for (uint64_t left = mask; left != 0; left &= left - 1) {
    const uint32_t pe = (uint32_t)__builtin_ctzll(left);
    forget_jobs(chip, pe);
    request_reset(engine, pe);
  }
  atomic_fetch_or(&engine->out_of_reset, mask);
  pthread_mutex_unlock(&engine->lock);
  see_to_resets(chip, mask);
}

static void stop(struct chip *chip) {
  struct work_queue_engine *engine = &chip->work_queue_engine;
  if (engine->slot >= MTIA_LIMIT_JOB_SLOTS) return;
  pthread_mutex_lock(&engine->lock);
  struct job_slot *slot = &engine->slots[engine->slot];
  uint64_t resets = slot->failed;
  for (uint64_t left = slot->failed; left != 0; left &= left - 1) request_reset(engine, (uint32_t)__builtin_ctzll(left));
  for (uint64_t left = slot->working; left != 0; left &= left - 1) {
    const uint32_t pe = (uint32_t)__builtin_ctzll(left);
    struct pe_request *request = &engine->requests[pe];
    const bool is_first = job_at(request, 0)->number == slot->job;
    if (!is_first || !request->started) {
      withdraw(chip, pe, is_first ? 0 : 1);
      continue;
    }
    remove_first(engine, pe);
    request_reset(engine, pe);
    resets |= PE_BIT(pe);
  }
  slot->working = slot->failed = 0;
  slot->stopped |= resets;
  atomic_fetch_and(&engine->done, ~(1ull << engine->slot));
  pthread_mutex_unlock(&engine->lock);
  see_to_resets(chip, resets);
}

void work_queue_engine_await_reset(struct chip *chip, uint32_t pe) {
  struct work_queue_engine *engine = &chip->work_queue_engine;
  for (;;) {
    uint32_t ticket = event_count_prepare(&engine->reset_served);
    pthread_mutex_lock(&engine->lock);
    bool outstanding = reset_outstanding(&engine->requests[pe]);
    pthread_mutex_unlock(&engine->lock);
    if (!outstanding) return;
    event_count_wait(&engine->reset_served, ticket, EVENT_COUNT_FOREVER);
  }
}

/* Returns when the PEs that STOP has reset are through with it. */
static void await_stop(struct chip *chip, uint64_t pes) {
  for (; pes != 0; pes &= pes - 1) {
    const uint32_t pe = (uint32_t)__builtin_ctzll(pes);
    /* In step mode this is the debugger's thread, and those that would serve the reset are at rest. */
    if (chip->halted) work_queue_engine_serve_requests(chip, pe);
    else work_queue_engine_await_reset(chip, pe);
  }
}

static bool is_in_grid(const struct chip *chip, uint32_t column, uint32_t row, uint32_t columns, uint32_t rows) {
  const uint32_t width = (uint32_t)chip->specification.grid_width, height = (uint32_t)chip->specification.grid_height;
  return columns != 0 && rows != 0 && column + columns <= width && row + rows <= height;
}

/* PEs reckon with the rectangle of the descriptor, which on v1 is larger than what is started at a time. */
static bool descriptor_is_in_grid(const struct chip *chip, const uint8_t *descriptor) {
  struct mtia_job_descriptor head;
  memcpy(&head, descriptor, offsetof(struct mtia_job_descriptor, arguments));
  return is_in_grid(chip, head.column, head.row, head.columns, head.rows);
}

/* The PEs of the rectangle as bits; 0 where the work queue engine does not take it. */
static uint64_t rectangle_mask(const struct chip *chip, uint32_t rectangle) {
  uint32_t column = rectangle & 0xff, row = rectangle >> 8 & 0xff, columns = rectangle >> 16 & 0xff, rows = rectangle >> 24;
  const uint32_t width = (uint32_t)chip->specification.grid_width;
  if (!is_in_grid(chip, column, row, columns, rows)) return 0;
  if (chip->specification.broadcast_dispatch == 0 && columns * rows != 1) return 0;
  uint64_t mask = 0;
  for (uint32_t r = row; r < row + rows; r++) {
    for (uint32_t c = column; c < column + columns; c++) mask |= PE_BIT(r * width + c);
  }
  return mask;
}

/*
 * The firmware says which it is. Whether a PE is still at work when a job comes would depend on the host's scheduling, and device
 * time must not. Without broadcast the PEs get their descriptors one after the other, and the job has started with the last.
 */
static uint64_t launch_cycles(const struct mtia_specification *specification, uint32_t pes, bool follows) {
  const double ns = follows ? specification->job_replace_ns : specification->job_launch_ns;
  const bool one_by_one = specification->broadcast_dispatch == 0 && pes > 1;
  const double hand_overs = one_by_one ? specification->job_hand_over_share * (pes - 1) : 0;
  return (uint64_t)(ns * (1 + hand_overs) * specification->clock_mhz / 1000);
}

/* Copies the arguments in use, and clears those that are in the copy from before. */
static void copy_descriptor(struct mtia_job_descriptor *copy, const uint8_t *descriptor) {
  const size_t head = offsetof(struct mtia_job_descriptor, arguments);
  uint32_t before = copy->argument_words;
  memcpy(copy, descriptor, head);
  uint32_t words = copy->argument_words < MTIA_JOB_ARGUMENT_WORDS ? copy->argument_words : MTIA_JOB_ARGUMENT_WORDS;
  memcpy(copy->arguments, descriptor + head, words * sizeof(copy->arguments[0]));
  if (before > MTIA_JOB_ARGUMENT_WORDS) before = MTIA_JOB_ARGUMENT_WORDS;
  if (before > words) memset(&copy->arguments[words], 0, (before - words) * sizeof(copy->arguments[0]));
}

/* Hands the descriptor to the PEs of the rectangle. The lock is held. */
static void hand_over(struct chip *chip, uint64_t mask, const uint8_t *descriptor) {
  struct work_queue_engine *engine = &chip->work_queue_engine;
  struct job_slot *slot = &engine->slots[engine->slot];
  if (slot->job == 0) slot->job = ++engine->last_job;
  slot->pes |= mask;
  slot->working |= mask;
  for (uint64_t left = mask; left != 0; left &= left - 1) {
    const uint32_t pe = (uint32_t)__builtin_ctzll(left);
    struct pe_request *request = &engine->requests[pe];
    struct pe_job *job = job_at(request, request->count);
    copy_descriptor(&job->descriptor, descriptor);
    job->slot = engine->slot;
    job->number = slot->job;
    count_jobs(engine, pe, request->count + 1);
  }
  atomic_fetch_add_explicit(&engine->jobs, (uint64_t)__builtin_popcountll(mask), memory_order_relaxed);
}

static uint32_t start(struct chip *chip) {
  struct work_queue_engine *engine = &chip->work_queue_engine;
  uint64_t mask = rectangle_mask(chip, engine->rectangle);
  const uint8_t *descriptor = control_bus_operand(chip, engine->descriptor_address, sizeof(struct mtia_job_descriptor));
  if (mask == 0) return MTIA_ERROR_INVALID_GRID;
  if (descriptor == NULL || engine->slot >= MTIA_LIMIT_JOB_SLOTS) return MTIA_ERROR_INVALID_COMMAND;
  if (!descriptor_is_in_grid(chip, descriptor)) return MTIA_ERROR_INVALID_GRID;
  pthread_mutex_lock(&engine->lock);
  /* Every PE must be out of reset and take a job: firmware that forgets what they have must not overwrite it. */
  const uint64_t unfit = ~atomic_load(&engine->out_of_reset) | atomic_load(&engine->full) | engine->slots[engine->slot].pes;
  const uint64_t idle = mask & ~atomic_load(&engine->busy);
  if ((unfit & mask) == 0) hand_over(chip, mask, descriptor);
  pthread_mutex_unlock(&engine->lock);
  if ((unfit & mask) != 0) return MTIA_ERROR_INVALID_COMMAND;
  /* One PE alone may be done before a thread would have woken up. Of several, each thread shall get its share at once. */
  bool alone = !engine->has_quiet_start && idle == mask && (mask & (mask - 1)) == 0;
  work_queue_engine_finish_start(chip, false);
  if (alone) {
    engine->has_quiet_start = true;
    engine->quiet_start = (uint32_t)__builtin_ctzll(mask);
  } else {
    scheduler_notify(&chip->scheduler, idle); /* the others find the job when they are done with theirs */
  }
  return MTIA_ERROR_OK;
}

void work_queue_engine_finish_start(struct chip *chip, bool here) {
  struct work_queue_engine *engine = &chip->work_queue_engine;
  if (!engine->has_quiet_start) return;
  engine->has_quiet_start = false;
  if (here) scheduler_run_briefly(chip, engine->quiet_start);
  else scheduler_notify(&chip->scheduler, PE_BIT(engine->quiet_start));
}

static void arm(struct chip *chip, uint32_t value) {
  struct work_queue_engine *engine = &chip->work_queue_engine;
  if (engine->slot >= MTIA_LIMIT_JOB_SLOTS) return;
  pthread_mutex_lock(&engine->lock);
  const uint32_t pes = value & MTIA_JOB_ARM_PES_MASK;
  clear_slot(&engine->slots[engine->slot], pes);
  engine->slots[engine->slot].launch_cycles = launch_cycles(&chip->specification, pes, (value & MTIA_JOB_ARM_FOLLOWS) != 0);
  atomic_fetch_and(&engine->done, ~(1ull << engine->slot));
  pthread_mutex_unlock(&engine->lock);
}

/* The selected slot as it is now. */
static struct job_slot selected(struct work_queue_engine *engine) {
  struct job_slot slot;
  clear_slot(&slot, 0);
  if (engine->slot >= MTIA_LIMIT_JOB_SLOTS) return slot;
  pthread_mutex_lock(&engine->lock);
  slot = engine->slots[engine->slot];
  pthread_mutex_unlock(&engine->lock);
  return slot;
}

static uint32_t fault_place(const struct job_slot *slot) {
  return slot->failing_pe == CHIP_PES ? MTIA_NOT_IN_A_PE : slot->failing_pe | slot->failure.hart << 16;
}

bool work_queue_engine_read32(struct chip *chip, uint32_t offset, uint32_t *value) {
  struct work_queue_engine *engine = &chip->work_queue_engine;
  struct job_slot slot;
  switch (offset) {
    case MTIA_WORK_QUEUE_ENGINE_LOOK_PE: *value = engine->look_pe; return true;
    case MTIA_WORK_QUEUE_ENGINE_HART_AT:
    case MTIA_WORK_QUEUE_ENGINE_HART_AT + 4:
      *value = (uint32_t)atomic_load(&chip->scheduler.stands[engine->look_pe].at[(offset - MTIA_WORK_QUEUE_ENGINE_HART_AT) / 4]);
      return true;
    case MTIA_WORK_QUEUE_ENGINE_RECTANGLE: *value = engine->rectangle; return true;
    case MTIA_WORK_QUEUE_ENGINE_SLOT: *value = engine->slot; return true;
    case MTIA_WORK_QUEUE_ENGINE_ARM:
    case MTIA_WORK_QUEUE_ENGINE_START: *value = 0; return true;
    case MTIA_WORK_QUEUE_ENGINE_STOP:
      await_stop(chip, selected(engine).stopped);
      *value = 0;
      return true;
    case MTIA_WORK_QUEUE_ENGINE_ERROR: *value = engine->error; return true;
    case MTIA_WORK_QUEUE_ENGINE_REMAINING: *value = selected(engine).remaining; return true;
    case MTIA_WORK_QUEUE_ENGINE_RESULT: *value = selected(engine).failure.result; return true;
    case MTIA_WORK_QUEUE_ENGINE_FAULT_PLACE:
      slot = selected(engine);
      *value = fault_place(&slot);
      return true;
    default: return false;
  }
}

bool work_queue_engine_read64(struct chip *chip, uint32_t offset, uint64_t *value) {
  struct work_queue_engine *engine = &chip->work_queue_engine;
  struct job_slot slot;
  switch (offset) {
    case MTIA_WORK_QUEUE_ENGINE_HART_PC:
    case MTIA_WORK_QUEUE_ENGINE_HART_PC + 8:
      *value = atomic_load(&chip->scheduler.stands[engine->look_pe].pc[(offset - MTIA_WORK_QUEUE_ENGINE_HART_PC) / 8]);
      return true;
    case MTIA_WORK_QUEUE_ENGINE_DESCRIPTOR: *value = engine->descriptor_address; return true;
    case MTIA_WORK_QUEUE_ENGINE_DONE: *value = atomic_load(&engine->done); return true;
    case MTIA_WORK_QUEUE_ENGINE_FAULT_CAUSE: *value = selected(engine).failure.cause; return true;
    case MTIA_WORK_QUEUE_ENGINE_FAULT_PC: *value = selected(engine).failure.pc; return true;
    case MTIA_WORK_QUEUE_ENGINE_FAULT_VALUE: *value = selected(engine).failure.value; return true;
    case MTIA_WORK_QUEUE_ENGINE_CYCLES:
      slot = selected(engine);
      *value = slot.launch_cycles + slot.most_cycles;
      return true;
    case MTIA_WORK_QUEUE_ENGINE_BUSY: *value = atomic_load(&engine->busy); return true;
    case MTIA_WORK_QUEUE_ENGINE_FULL: *value = atomic_load(&engine->full); return true;
    case MTIA_WORK_QUEUE_ENGINE_WORKING: *value = selected(engine).working; return true;
    case MTIA_WORK_QUEUE_ENGINE_RUNNING:
      slot = selected(engine);
      *value = slot.working & slot.begun;
      return true;
    case MTIA_WORK_QUEUE_ENGINE_START_TIME: *value = selected(engine).start_time; return true;
    case MTIA_WORK_QUEUE_ENGINE_BLOCKED:
      /* Under the lock nobody is about to go on of a job whose PEs are all blocked. */
      pthread_mutex_lock(&engine->lock);
      *value = atomic_load(&engine->blocked);
      pthread_mutex_unlock(&engine->lock);
      return true;
    default: return false;
  }
}

bool work_queue_engine_write32(struct chip *chip, uint32_t offset, uint32_t value) {
  struct work_queue_engine *engine = &chip->work_queue_engine;
  switch (offset) {
    case MTIA_WORK_QUEUE_ENGINE_LOOK_PE: engine->look_pe = value % CHIP_PES; return true;
    case MTIA_WORK_QUEUE_ENGINE_RECTANGLE: engine->rectangle = value; return true;
    case MTIA_WORK_QUEUE_ENGINE_SLOT: engine->slot = value; return true;
    case MTIA_WORK_QUEUE_ENGINE_ARM: arm(chip, value); return true;
    case MTIA_WORK_QUEUE_ENGINE_START:
      if (value == 1) engine->error = start(chip);
      return true;
    case MTIA_WORK_QUEUE_ENGINE_STOP:
      if (value == 1) stop(chip);
      return true;
    default: return work_queue_engine_read32(chip, offset, &value); /* read only: ignored */
  }
}

bool work_queue_engine_write64(struct chip *chip, uint32_t offset, uint64_t value) {
  struct work_queue_engine *engine = &chip->work_queue_engine;
  switch (offset) {
    case MTIA_WORK_QUEUE_ENGINE_DESCRIPTOR: engine->descriptor_address = value; return true;
    case MTIA_WORK_QUEUE_ENGINE_DONE:
      pthread_mutex_lock(&engine->lock);
      atomic_fetch_and(&engine->done, ~value);
      pthread_mutex_unlock(&engine->lock);
      return true;
    default: return work_queue_engine_read64(chip, offset, &value);
  }
}
