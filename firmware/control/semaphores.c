#include "semaphores.h"
#include "bits.h"
#include "queues.h"
#include "timers.h"

uint32_t semaphore_wait(struct control *control, struct queue *queue) {
  const struct mtia_submission *submission = &queue->submission;
  if (submission->a >= MTIA_TIMELINE_SEMAPHORES) return refuse(queue, MTIA_ERROR_INVALID_COMMAND, submission->a);
  if (control->semaphores.value[submission->a] >= submission->b) return MTIA_ERROR_OK;
  control->semaphores.waiting |= 1u << queue->number;
  timer_set_deadline(control, queue);
  return COMMAND_RUNNING;
}

uint32_t semaphore_signal(struct control *control, struct queue *queue) {
  const struct mtia_submission *submission = &queue->submission;
  if (submission->a >= MTIA_TIMELINE_SEMAPHORES) return refuse(queue, MTIA_ERROR_INVALID_COMMAND, submission->a);
  struct semaphores *semaphores = &control->semaphores;
  uint64_t *value = &semaphores->value[submission->a];
  if (submission->b > *value) *value = submission->b;
  for (uint32_t rest = semaphores->waiting; rest != 0; rest &= rest - 1) {
    struct queue *waiter = &control->queues.queue[lowest_bit(rest)];
    if (waiter->submission.a != submission->a || waiter->submission.b > *value) continue;
    semaphores->waiting &= ~(1u << waiter->number);
    queue_complete(control, waiter, MTIA_ERROR_OK);
  }
  return MTIA_ERROR_OK;
}

void semaphore_stop(struct control *control, struct queue *queue) {
  control->semaphores.waiting &= ~(1u << queue->number);
}
