#include "semaphores.h"
#include <stddef.h>
#include "bits.h"
#include "bytes.h"
#include "contexts.h"
#include "queues.h"
#include "timers.h"

#define NEVER (~0ull)

static bool is_poisoned(const struct semaphore *semaphore, uint64_t value) {
  return semaphore->failed_from != 0 && value >= semaphore->failed_from && value < semaphore->failed_to;
}

/* How a wait ends whose value is reached. */
static uint32_t outcome(struct queue *queue, const struct semaphore *semaphore) {
  const uint64_t mode = queue->submission.c;
  if (mode != MTIA_WAIT_FAILED && !is_poisoned(semaphore, queue->submission.b)) return MTIA_ERROR_OK;
  queue->aborting = mode != MTIA_WAIT_ALONE;
  return MTIA_ERROR_ABORTED;
}

uint32_t semaphore_wait(struct control *control, struct queue *queue) {
  const struct mtia_submission *submission = &queue->submission;
  if (submission->a >= MTIA_TIMELINE_SEMAPHORES) return refuse(queue, MTIA_ERROR_INVALID_COMMAND, submission->a);
  if (submission->c > MTIA_WAIT_FAILED) return refuse(queue, MTIA_ERROR_INVALID_COMMAND, submission->c);
  const struct semaphore *semaphore = &control->semaphores.table[queue->context][submission->a];
  if (submission->c == MTIA_WAIT_FAILED || semaphore->value >= submission->b) return outcome(queue, semaphore);
  control->semaphores.waiting |= 1u << queue->number;
  timer_set_deadline(control, queue);
  return COMMAND_RUNNING;
}

static void wake(struct control *control, uint32_t context, uint64_t number) {
  struct semaphores *semaphores = &control->semaphores;
  const struct semaphore *semaphore = &semaphores->table[context][number];
  for (uint32_t rest = semaphores->waiting; rest != 0; rest &= rest - 1) {
    struct queue *waiter = &control->queues.queue[lowest_bit(rest)];
    if (waiter->context != context || waiter->submission.a != number) continue;
    if (waiter->submission.b > semaphore->value) continue;
    semaphores->waiting &= ~(1u << waiter->number);
    queue_complete(control, waiter, outcome(waiter, semaphore));
  }
}

/* One range is known: the latest, and what it touches. */
static void poison(struct semaphore *semaphore, uint64_t from, uint64_t to) {
  const bool apart = semaphore->failed_from == 0 || from > semaphore->failed_to || to < semaphore->failed_from;
  if (apart || from < semaphore->failed_from) semaphore->failed_from = from;
  if (apart || to > semaphore->failed_to) semaphore->failed_to = to;
}

/* The driver names a context; every other queue means its own. */
static uint32_t find_semaphore(const struct control *control, struct queue *queue, uint32_t *context) {
  const struct mtia_submission *submission = &queue->submission;
  if (submission->a >= MTIA_TIMELINE_SEMAPHORES) return refuse(queue, MTIA_ERROR_INVALID_COMMAND, submission->a);
  const uint64_t named = submission->c;
  *context = queue->number == 0 ? (uint32_t)named : queue->context;
  if (queue->number != 0) return named == 0 ? MTIA_ERROR_OK : refuse(queue, MTIA_ERROR_INVALID_COMMAND, named);
  const bool live = named < MTIA_LIMIT_CONTEXTS && context_is_live(control, *context);
  return live ? MTIA_ERROR_OK : refuse(queue, MTIA_ERROR_INVALID_CONTEXT, named);
}

uint32_t semaphore_signal(struct control *control, struct queue *queue) {
  const struct mtia_submission *submission = &queue->submission;
  uint32_t context;
  const uint32_t error = find_semaphore(control, queue, &context);
  if (error != MTIA_ERROR_OK) return error;
  struct semaphore *semaphore = &control->semaphores.table[context][submission->a];
  if (submission->d == MTIA_SIGNAL_FAILS_ALONE) poison(semaphore, submission->b, submission->b + 1);
  else if (submission->d != 0) poison(semaphore, submission->d, NEVER);
  else if (queue->failed) poison(semaphore, submission->b, NEVER);
  if (submission->b > semaphore->value) semaphore->value = submission->b;
  wake(control, context, submission->a);
  return MTIA_ERROR_OK;
}

uint32_t semaphore_recover(struct control *control, struct queue *queue) {
  const struct mtia_submission *submission = &queue->submission;
  if (submission->a >= MTIA_TIMELINE_SEMAPHORES) return refuse(queue, MTIA_ERROR_INVALID_COMMAND, submission->a);
  queue->failed = false;
  queue->aborting = false;
  struct semaphore *semaphore = &control->semaphores.table[queue->context][submission->a];
  if (submission->b != 0 && submission->b < semaphore->failed_to) semaphore->failed_to = submission->b;
  return MTIA_ERROR_OK;
}

uint32_t semaphore_reset(struct control *control, struct queue *queue) {
  const struct mtia_submission *submission = &queue->submission;
  uint32_t context;
  const uint32_t error = find_semaphore(control, queue, &context);
  if (error != MTIA_ERROR_OK) return error;
  control->semaphores.table[context][submission->a] = (struct semaphore){.value = submission->b};
  wake(control, context, submission->a);
  return MTIA_ERROR_OK;
}

void semaphore_stop(struct control *control, struct queue *queue) {
  control->semaphores.waiting &= ~(1u << queue->number);
}

void semaphores_clear(struct control *control, uint32_t context) {
  memset(control->semaphores.table[context], 0, sizeof control->semaphores.table[context]);
}
