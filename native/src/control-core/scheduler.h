/* Runs PEs on W host threads; each is asleep while no PE is runnable. */
#ifndef MTIA_SCHEDULER_H
#define MTIA_SCHEDULER_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "event_count.h"
#include "pe.h"
#include "work_queue_engine.h"

struct chip;

struct scheduler_thread {
  struct chip *chip;
  pthread_t thread;
};

/* What scheduler.counters publishes of a PE. */
struct published_counters {
  _Atomic uint64_t instructions, unit_commands, dma_bytes, matmul_multiplies;
  _Atomic uint64_t sram_read_bytes, sram_written_bytes, lpddr_read_bytes, lpddr_written_bytes, multicast_saved_bytes;
  _Atomic uint64_t cache_hit_bytes, cache_missed_bytes, cache_written_back_bytes;
};

struct scheduler {
  /*
   * Bits per PE. runnable: has work. running: some thread has it. A thread claims a PE by setting its running bit, then
   * clears runnable, then looks at its requests: work announced after that sets runnable again, and the thread finds it
   * when it is back. So a PE is run by one thread at a time, and no announcement is lost.
   */
  _Atomic uint64_t runnable, running;
  _Atomic bool paused, stopping;
  struct event_count work;
  struct event_count quiet; /* a PE stopped running while paused */
  int niceness; /* of the threads, on top of what they inherit */
  uint32_t thread_count;
  struct scheduler_thread threads[CHIP_PES];
  /* Counters of each PE as of its last slice. */
  struct published_counters counters[CHIP_PES];
  struct { _Atomic uint64_t busy_cycles[MTIA_UNITS], commands[MTIA_UNITS], stall_cycles[2]; } unit_counters[CHIP_PES];
  /* How the harts of each PE stood at the end of its last slice. */
  struct { _Atomic uint64_t at[2], pc[2]; } stands[CHIP_PES];
};

/* 0 or CHIP_SYSTEM. */
int32_t scheduler_start(struct chip *chip, uint32_t threads);
void scheduler_stop(struct chip *chip);
/* Control thread: returns when every unit command that was under way is through. Bounded: a PE stops at its next instruction. */
void scheduler_quiesce(struct chip *chip);
/* Any thread: the PEs have something to do. */
void scheduler_notify(struct scheduler *scheduler, uint64_t pes);
/* Whoever runs the PE: it has more to do. The thread that gives it back finds that, or tells another. */
void scheduler_run_again(struct scheduler *scheduler, uint32_t pe);
/* Whoever runs the PE: its counters as they stand now, for readers on other threads. */
void scheduler_publish_counters(struct chip *chip, uint32_t pe);
/*
 * Runs one PE on the calling thread for a few instructions, and leaves the rest to the threads. A job as short as a hand-over
 * to another thread ends right here.
 */
void scheduler_run_briefly(struct chip *chip, uint32_t pe);
/* Returns when no PE runs; none runs until resume. */
void scheduler_pause(struct chip *chip);
void scheduler_resume(struct scheduler *scheduler);
/* Takes a PE out of the hands of the threads for a moment; false where one runs it. */
bool scheduler_try_claim(struct scheduler *scheduler, uint32_t pe);
void scheduler_release(struct scheduler *scheduler, uint32_t pe);

#endif
