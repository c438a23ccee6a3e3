#include "aborts.h"
#include <stddef.h>
#include "queues.h"

/*
 * Positions, not cookies: an entry that is not fetched yet can be aborted as well, and nothing has to be searched. The host
 * has no more commands without completion than the ring has entries, so a bit for each entry tells them all apart.
 */
bool abort_take(struct queue *queue, uint32_t position) {
  const uint32_t entry = position % MTIA_LIMIT_QUEUE_ENTRIES;
  const uint32_t bit = 1u << entry % 32;
  const bool aborted = (queue->aborted[entry / 32] & bit) != 0;
  queue->aborted[entry / 32] &= ~bit;
  return aborted;
}

static void abort_later(struct queue *queue, uint32_t position) {
  const uint32_t entry = position % MTIA_LIMIT_QUEUE_ENTRIES;
  queue->aborted[entry / 32] |= 1u << entry % 32;
}

static void abort_running(struct control *control, struct queue *queue) {
  const struct command *running = queue->running;
  if (running->cancel != NULL && running->cancel(control, queue)) return;
  queue_abort(control, queue, MTIA_ERROR_ABORTED);
}

uint32_t abort_start(struct control *control, struct queue *queue) {
  const struct mtia_submission *submission = &queue->submission;
  if (submission->a == 0 || submission->a >= MTIA_LIMIT_QUEUES) return refuse(queue, MTIA_ERROR_INVALID_COMMAND, submission->a);
  if (submission->b > UINT32_MAX) return refuse(queue, MTIA_ERROR_INVALID_COMMAND, submission->b);
  if (submission->c == 0 || submission->c > MTIA_LIMIT_QUEUE_ENTRIES) {
    return refuse(queue, MTIA_ERROR_INVALID_COMMAND, submission->c);
  }
  if (submission->d != 0) return refuse(queue, MTIA_ERROR_INVALID_COMMAND, submission->d);
  struct queue *target = &control->queues.queue[submission->a];
  const uint32_t first = (uint32_t)submission->b;
  bool met_running = false;
  for (uint32_t i = 0; i < submission->c; i++) {
    const uint32_t ahead = first + i - target->next;
    if (ahead < MTIA_LIMIT_QUEUE_ENTRIES) abort_later(target, first + i);
    else if (ahead == UINT32_MAX && target->running != NULL) met_running = true;
    else continue;
    queue->completion.value++;
  }
  if (met_running) abort_running(control, target);
  return MTIA_ERROR_OK;
}
