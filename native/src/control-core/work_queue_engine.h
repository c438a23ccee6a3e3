/* The work queue engine: hands job descriptors to PEs and collects their reports; also holds the PEs' reset requests. */
#ifndef MTIA_WORK_QUEUE_ENGINE_H
#define MTIA_WORK_QUEUE_ENGINE_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "event_count.h"
#include "generated/mtia_hw.h"
#include "pe.h"

struct chip;

#define CHIP_PES 64

struct job_slot {
  uint32_t armed, remaining;
  uint64_t job;     /* number of the job: every job of the chip has another; 0 = no START since ARM */
  uint64_t pes;     /* that it was handed to, as bits; and of those */
  uint64_t working; /* have not reported */
  uint64_t begun;   /* have started it */
  uint64_t failed;  /* have reported an error and wait for a reset */
  uint64_t stopped; /* STOP has reset */
  uint64_t start_time;    /* when the last PE started it; 0 = not yet */
  uint64_t launch_cycles;
  uint64_t most_cycles;   /* of the reports so far */
  uint32_t failing_pe;    /* CHIP_PES = none */
  struct pe_report failure;
};

/* A job as its PE has it. */
struct pe_job {
  uint64_t number;
  uint32_t slot;
  struct mtia_job_descriptor descriptor;
};

/* The job that a PE works on, and the next one. */
#define PE_JOBS 2

/* What the control core asks of a PE. Whoever runs the PE serves it before the next slice. */
struct pe_request {
  uint64_t reset_vector;
  uint32_t resets_requested, resets_served;
  struct pe_job jobs[PE_JOBS]; /* a ring */
  uint32_t first, count;
  bool started; /* the PE works on the first one */
  bool failed;  /* in its last job: takes no other before a reset */
};

struct work_queue_engine {
  /* Taken by the control thread and by the threads that run PEs, for a few dozen instructions. */
  pthread_mutex_t lock;
  struct job_slot slots[MTIA_LIMIT_JOB_SLOTS];
  struct pe_request requests[CHIP_PES];
  /* Bits per PE (slot in done); written under the lock, read without. */
  _Atomic uint64_t out_of_reset, busy, full, blocked, done;
  _Atomic uint64_t jobs; /* counter */
  uint64_t last_job;     /* number */
  struct event_count reset_served;
  /* PE that START gave a job and no thread was woken for yet: the control thread runs it first itself. Control thread. */
  bool has_quiet_start;
  uint32_t quiet_start;
  /* Registers, of the control thread. */
  uint64_t descriptor_address, reset_vector;
  uint32_t rectangle, slot, error, look_pe;
};

void work_queue_engine_create(struct work_queue_engine *engine);
void work_queue_engine_destroy(struct work_queue_engine *engine);
/* Every PE goes into reset, every job is forgotten. The chip is at rest. */
void work_queue_engine_reset(struct chip *chip);

/* The thread that runs the PE: serves its reset and job requests. False where the PE is in reset. */
bool work_queue_engine_serve_requests(struct chip *chip, uint32_t pe);
/* The thread that runs the PE: it has a job and cannot go on. */
void work_queue_engine_pe_blocked(struct chip *chip, uint32_t pe);
/* pe_environment.wake_peer */
void work_queue_engine_wake_pe(void *chip, struct pe *pe);
/* pe_environment.job_done */
void work_queue_engine_job_done(void *chip, struct pe *pe, const struct pe_report *report);

/* Control thread: SYSTEM_CONTROL.PE_RESET. */
void work_queue_engine_reset_pes(struct chip *chip, uint64_t mask);
/* Control thread: has the quiet start carried out, here or by the threads that run PEs. */
void work_queue_engine_finish_start(struct chip *chip, bool here);
/* Control thread: returns when no reset of the PE is outstanding. */
void work_queue_engine_await_reset(struct chip *chip, uint32_t pe);

bool work_queue_engine_read32(struct chip *chip, uint32_t offset, uint32_t *value);
bool work_queue_engine_read64(struct chip *chip, uint32_t offset, uint64_t *value);
bool work_queue_engine_write32(struct chip *chip, uint32_t offset, uint32_t value);
bool work_queue_engine_write64(struct chip *chip, uint32_t offset, uint64_t value);

#endif
