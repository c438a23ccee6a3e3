#include "timers.h"
#include <stddef.h>
#include "jobs.h"
#include "mmio.h"
#include "queues.h"

#define NEVER (~0ull)
/* How often jobs are looked at: a deadlock is found within two looks. */
#define LOOK_NS 5000000ull

static uint64_t now(void) { return CSR_READ(time); }

static void arm(struct control *control, uint64_t time) {
  control->timer = time;
  mmio_write64(REGISTER(TIMER, MTIMECMP), time);
}

void timers_initialise(struct control *control) { arm(control, NEVER); }

void timer_set_deadline(struct control *control, struct queue *queue) { timer_set_deadline_from(control, queue, now()); }

void timer_set_deadline_from(struct control *control, struct queue *queue, uint64_t time) {
  if (queue->submission.deadline_us == 0) return;
  queue->deadline = time + queue->submission.deadline_us * 1000ull;
  if (queue->deadline < control->timer) arm(control, queue->deadline);
}

void timer_watch_jobs(struct control *control) {
  if (control->watching_jobs) return;
  control->watching_jobs = true;
  const uint64_t look = now() + LOOK_NS;
  if (look < control->timer) arm(control, look);
}

static void expire_deadlines(struct control *control, uint64_t time) {
  for (uint32_t number = 0; number < MTIA_LIMIT_QUEUES; number++) {
    struct queue *queue = &control->queues.queue[number];
    if (queue->running == NULL || queue->deadline == 0 || queue->deadline > time) continue;
    jobs_describe(&control->jobs, queue);
    queue_abort(control, queue, MTIA_ERROR_KERNEL_TIMEOUT);
  }
}

static uint64_t earliest_deadline(const struct control *control) {
  uint64_t earliest = NEVER;
  for (uint32_t number = 0; number < MTIA_LIMIT_QUEUES; number++) {
    const struct queue *queue = &control->queues.queue[number];
    if (queue->running != NULL && queue->deadline != 0 && queue->deadline < earliest) earliest = queue->deadline;
  }
  return earliest;
}

void timers_expired(struct control *control) {
  const uint64_t time = now();
  jobs_look(control);
  expire_deadlines(control, time);
  jobs_start_waiting(control);
  uint64_t next = earliest_deadline(control);
  control->watching_jobs = jobs_are_running(&control->jobs);
  if (control->watching_jobs && time + LOOK_NS < next) next = time + LOOK_NS;
  arm(control, next);
}
