/* ACROSS_PES: barriers, locks and tickets over the PEs of the rectangle; argument 0 is what, argument 1 where, argument 2 how often. */
#include "mtia_kernel.h"

enum test { BARRIERS, LOCK, TICKETS, POST_RING, MISSING_AT_BARRIER, OUTSIDE, TRAP_IN_LOCK, LEAVE_IN_LOCK, TRAP_BEFORE_BARRIER };

/* Semaphores 2 and 3 of the PE at the corner. */
#define CORNER ((struct remote_semaphore){2, 0, 0})

/* In every round each PE writes its word and then finds those of all the others. */
static uint32_t barriers(volatile uint64_t *words, const struct pe_place *place, uint64_t rounds) {
  for (uint64_t round = 1; round <= rounds; round++) {
    words[place->index] = round;
    barrier(MTIA_BARRIER_RECTANGLE);
    for (uint64_t i = 0; i < place->count; i++)
      if (words[i] != round) return MTIA_RESULT_BAD_ARGUMENT;
    barrier(MTIA_BARRIER_ROW);
    barrier(MTIA_BARRIER_COLUMN);
  }
  return MTIA_RESULT_OK;
}

/* Word 0 is counted up by everybody, without an atomic instruction. */
static void locked_count(volatile uint64_t *words, uint64_t rounds) {
  for (uint64_t round = 0; round < rounds; round++) {
    lock_acquire(CORNER);
    words[0] = words[0] + 1;
    lock_release(CORNER);
  }
}

/* Word n becomes the place of the PE that drew ticket n. */
static void tickets(volatile uint64_t *words, const struct pe_place *place, uint64_t rounds) {
  for (uint64_t round = 0; round < rounds; round++) words[atomic_fetch_add(CORNER, 1)] = place->index;
}

/* A token goes round the PEs in order of place, and counts up word 0. */
static void post_ring(volatile uint64_t *words, const struct mtia_job_descriptor *job, const struct pe_place *place,
                      uint64_t rounds) {
  const uint64_t next = (place->index + 1) % place->count;
  for (uint64_t round = 0; round < rounds; round++) {
    if (place->index != 0 || round != 0) semaphore_wait(4, 1);
    words[0] = words[0] * 3 + place->index;
    if (next != 0 || round + 1 < rounds)
      remote_semaphore_post((struct remote_semaphore){4, next % job->columns, next / job->columns}, 1);
  }
}

/* Everybody takes the lock once and comes to the barrier; but the PE at that place ends while it holds the lock, or after it. */
static void one_falls_out(uint64_t test, const struct pe_place *place, uint64_t which) {
  const bool falls = place->index == which;
  lock_acquire(CORNER);
  if (falls && test == LEAVE_IN_LOCK) return;
  if (falls && test == TRAP_IN_LOCK) __asm__ volatile("unimp");
  lock_release(CORNER);
  if (falls) __asm__ volatile("unimp");
  barrier(MTIA_BARRIER_RECTANGLE);
}

uint32_t kernel_main(const struct mtia_job_descriptor *job, uint32_t hart) {
  struct pe_place place;
  if (hart != 0) return MTIA_RESULT_OK;
  if (!find_place(job, &place)) return MTIA_RESULT_BAD_GRID;
  volatile uint64_t *const words = (volatile uint64_t *)(uintptr_t)job->arguments[1];
  const uint64_t test = job->arguments[0], rounds = job->arguments[2];
  if (test == BARRIERS) return barriers(words, &place, rounds);
  if (test == LOCK) locked_count(words, rounds);
  if (test == TICKETS) tickets(words, &place, rounds);
  if (test == POST_RING) post_ring(words, job, &place, rounds);
  if (test >= TRAP_IN_LOCK) return one_falls_out(test, &place, rounds), MTIA_RESULT_OK;
  if (test == OUTSIDE) remote_semaphore_post((struct remote_semaphore){4, job->columns, 0}, 1);
  if (test != MISSING_AT_BARRIER || place.index != 1) barrier(MTIA_BARRIER_RECTANGLE);
  return MTIA_RESULT_OK;
}
