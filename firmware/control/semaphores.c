#include "semaphores.h"
#include <stddef.h>
#include "bits.h"
#include "bytes.h"
#include "contexts.h"
#include "queues.h"
#include "timers.h"

uint32_t semaphore_wait(struct control *control, struct queue *queue) {
  const struct mtia_submission *submission = &queue->submission;
  if (submission->a >= MTIA_TIMELINE_SEMAPHORES) return refuse(queue, MTIA_ERROR_INVALID_COMMAND, submission->a);
  if (control->semaphores.value[queue->context][submission->a] >= submission->b) return MTIA_ERROR_OK;
  control->semaphores.waiting |= 1u << queue->number;
  timer_set_deadline(control, queue);
  return COMMAND_RUNNING;
}

static void wake(struct control *control, uint32_t context, uint64_t semaphore, uint64_t value) {
  struct semaphores *semaphores = &control->semaphores;
  for (uint32_t rest = semaphores->waiting; rest != 0; rest &= rest - 1) {
    struct queue *waiter = &control->queues.queue[lowest_bit(rest)];
    if (waiter->context != context || waiter->submission.a != semaphore || waiter->submission.b > value) continue;
    semaphores->waiting &= ~(1u << waiter->number);
    queue_complete(control, waiter, MTIA_ERROR_OK);
  }
}

/* The driver signals for a context whose own queue cannot do it any more. */
static uint32_t signalled_context(const struct control *control, struct queue *queue, uint32_t *context) {
  const uint64_t named = queue->submission.c;
  *context = queue->number == 0 ? (uint32_t)named : queue->context;
  if (queue->number != 0) return named == 0 ? MTIA_ERROR_OK : refuse(queue, MTIA_ERROR_INVALID_COMMAND, named);
  const bool live = named < MTIA_LIMIT_CONTEXTS && context_is_live(control, *context);
  return live ? MTIA_ERROR_OK : refuse(queue, MTIA_ERROR_INVALID_CONTEXT, named);
}

uint32_t semaphore_signal(struct control *control, struct queue *queue) {
  const struct mtia_submission *submission = &queue->submission;
  if (submission->a >= MTIA_TIMELINE_SEMAPHORES) return refuse(queue, MTIA_ERROR_INVALID_COMMAND, submission->a);
  uint32_t context;
  const uint32_t error = signalled_context(control, queue, &context);
  if (error != MTIA_ERROR_OK) return error;
  uint64_t *value = &control->semaphores.value[context][submission->a];
  if (submission->b > *value) *value = submission->b;
  wake(control, context, submission->a, *value);
  return MTIA_ERROR_OK;
}

void semaphore_stop(struct control *control, struct queue *queue) {
  control->semaphores.waiting &= ~(1u << queue->number);
}

void semaphores_clear(struct control *control, uint32_t context) {
  memset(control->semaphores.value[context], 0, sizeof control->semaphores.value[context]);
}
