#include "jobs.h"
#include <stddef.h>
#include "bits.h"
#include "device_time.h"
#include "failures.h"
#include "launches.h"
#include "mmio.h"
#include "queues.h"
#include "timers.h"

/* Looks (timers.c) that the other PEs of a job get after one of them has failed. */
#define LOOKS_AFTER_FAILURE 20u

void jobs_initialise(struct jobs *jobs) { jobs->free_slots = ~0ull; }

static void select_slot(uint32_t slot) { mmio_write32(REGISTER(WORK_QUEUE_ENGINE, SLOT), slot); }

static uint32_t start_at(uint32_t rectangle) {
  mmio_write32(REGISTER(WORK_QUEUE_ENGINE, RECTANGLE), rectangle);
  mmio_write32(REGISTER(WORK_QUEUE_ENGINE, START), 1);
  return mmio_read32(REGISTER(WORK_QUEUE_ENGINE, ERROR));
}

/* MTIA v1 has no broadcast: every PE is started by itself. */
static uint32_t start_one_by_one(const struct mtia_job_descriptor *descriptor) {
  for (uint32_t row = descriptor->row; row < (uint32_t)descriptor->row + descriptor->rows; row++) {
    for (uint32_t column = descriptor->column; column < (uint32_t)descriptor->column + descriptor->columns; column++) {
      const uint32_t error = start_at(rectangle_encode((struct rectangle){column, row, 1, 1}));
      if (error != MTIA_ERROR_OK) return error;
    }
  }
  return MTIA_ERROR_OK;
}

static void release(struct jobs *jobs, uint32_t slot) {
  jobs->free_slots |= 1ull << slot;
  jobs->unstarted_slots &= ~(1ull << slot);
  jobs->slots[slot].queue->launch.slots &= ~(1ull << slot);
}

/*
 * Whatever state the PEs are in; a report that was just under way is withdrawn. The answer comes when the PEs are through with
 * their resets: from then on nothing of the job is under way, and whoever is told that it has ended may use its memory.
 */
static void stop_and_release(struct jobs *jobs, uint32_t slot) {
  select_slot(slot);
  mmio_write32(REGISTER(WORK_QUEUE_ENGINE, STOP), 1);
  (void)mmio_read32(REGISTER(WORK_QUEUE_ENGINE, STOP));
  release(jobs, slot);
}

/* The time of a command counts from its first job, that of a job from where all of its PEs are done with their jobs before. */
static void note_starts(struct control *control) {
  struct jobs *jobs = &control->jobs;
  for (uint64_t rest = jobs->unstarted_slots; rest != 0; rest &= rest - 1) {
    const uint32_t slot = lowest_bit(rest);
    select_slot(slot);
    const uint64_t time = mmio_read64(REGISTER(WORK_QUEUE_ENGINE, START_TIME));
    if (time == 0) continue;
    jobs->unstarted_slots &= ~(1ull << slot);
    timer_set_deadline_from(control, jobs->slots[slot].queue, time);
  }
}

static uint32_t start_job(struct control *control, struct queue *queue) {
  struct jobs *jobs = &control->jobs;
  struct launch *launch = &queue->launch;
  const uint32_t slot = lowest_bit(jobs->free_slots);
  jobs->free_slots &= jobs->free_slots - 1;
  launch->slots |= 1ull << slot;
  jobs->slots[slot] = (struct job){
      .queue = queue, .pes = launch->pes, .index = launch->job_index, .kernel = launch->descriptor.kernel};
  launch->descriptor.slot = slot;
  const bool at_once = (mmio_read64(REGISTER(WORK_QUEUE_ENGINE, BUSY)) & launch->pes) == 0;
  memory_barrier();
  mmio_write64(REGISTER(WORK_QUEUE_ENGINE, DESCRIPTOR), (uint64_t)(uintptr_t)&launch->descriptor);
  select_slot(slot);
  const struct mtia_job_descriptor *descriptor = &launch->descriptor;
  const uint32_t follows = queue->completion.jobs == 0 ? 0 : MTIA_JOB_ARM_FOLLOWS;
  mmio_write32(REGISTER(WORK_QUEUE_ENGINE, ARM), (uint32_t)descriptor->columns * descriptor->rows | follows);
  const struct rectangle rectangle = {descriptor->column, descriptor->row, descriptor->columns, descriptor->rows};
  const uint32_t error =
      control->chip.broadcast ? start_at(rectangle_encode(rectangle)) : start_one_by_one(descriptor);
  if (error != MTIA_ERROR_OK) {
    stop_and_release(jobs, slot);
    return error;
  }
  if (queue->completion.jobs++ == 0 && queue->deadline == 0) {
    if (at_once) timer_set_deadline(control, queue);
    else jobs->unstarted_slots |= 1ull << slot;
  }
  timer_watch_jobs(control);
  return MTIA_ERROR_OK;
}

/* PEs that take no further job. */
static uint64_t full_pes(const struct jobs *jobs) {
  return jobs->free_slots == 0 ? ~0ull : mmio_read64(REGISTER(WORK_QUEUE_ENGINE, FULL));
}

uint32_t jobs_submit(struct control *control, struct queue *queue) {
  struct jobs *jobs = &control->jobs;
  uint64_t wanted = full_pes(jobs);
  for (uint32_t i = 0; i < jobs->waiting.count; i++) wanted |= jobs->waiting.queues[i]->launch.pes;
  queue->launch.waiting = (wanted & queue->launch.pes) != 0;
  if (!queue->launch.waiting) return start_job(control, queue);
  queue_list_insert(&jobs->waiting, queue);
  return MTIA_ERROR_OK;
}

/* The first waiting queue whose PEs are neither full nor wanted by one that has waited longer. */
static struct queue *next_startable(const struct jobs *jobs) {
  uint64_t taken = full_pes(jobs);
  for (uint32_t i = 0; i < jobs->waiting.count; i++) {
    struct queue *queue = jobs->waiting.queues[i];
    if ((queue->launch.pes & taken) == 0) return queue;
    taken |= queue->launch.pes;
  }
  return NULL;
}

void jobs_start_waiting(struct control *control) {
  struct jobs *jobs = &control->jobs;
  struct queue *queue;
  while (jobs->waiting.count > 0 && (queue = next_startable(jobs)) != NULL) {
    queue_list_remove(&jobs->waiting, queue);
    queue->launch.waiting = false;
    const uint32_t error = start_job(control, queue);
    if (error == MTIA_ERROR_OK) launch_continue(control, queue);
    else queue_abort(control, queue, error);
  }
}

static void end_job(struct control *control, uint32_t slot) {
  struct jobs *jobs = &control->jobs;
  struct job *job = &jobs->slots[slot];
  struct queue *queue = job->queue;
  select_slot(slot);
  const uint32_t result = mmio_read32(REGISTER(WORK_QUEUE_ENGINE, RESULT));
  const uint64_t cycles = mmio_read64(REGISTER(WORK_QUEUE_ENGINE, CYCLES));
  device_time_add(&queue->launch.time, job->pes, cycles);
  queue->completion.device_ns = device_time_cycles(&queue->launch.time) * 1000 / control->chip.clock_mhz;
  if (result == MTIA_ERROR_OK) {
    release(jobs, slot);
    launch_continue(control, queue);
    return;
  }
  const uint32_t error = failure_read(queue, result);
  queue->completion.job_index = job->index;
  queue->completion.kernel = job->kernel;
  /* The slot is the launch's still, so that this resets the PEs of the failed job as well. */
  queue_abort(control, queue, error);
}

void jobs_collect(struct control *control) {
  struct jobs *jobs = &control->jobs;
  const uint64_t done = mmio_read64(REGISTER(WORK_QUEUE_ENGINE, DONE));
  mmio_write64(REGISTER(WORK_QUEUE_ENGINE, DONE), done);
  note_starts(control);
  /* A failure may end other jobs of this set before their turn. */
  for (uint64_t rest = done; (rest &= ~jobs->free_slots) != 0; rest &= rest - 1) end_job(control, lowest_bit(rest));
  jobs_start_waiting(control);
}

static uint64_t pes_at_work(void) { return mmio_read64(REGISTER(WORK_QUEUE_ENGINE, WORKING)); }
static uint64_t pes_that_run(void) { return mmio_read64(REGISTER(WORK_QUEUE_ENGINE, RUNNING)); }

void jobs_describe(const struct jobs *jobs, struct queue *queue) {
  if (queue->launch.slots == 0) return;
  const uint32_t slot = lowest_bit(queue->launch.slots);
  const struct job *job = &jobs->slots[slot];
  select_slot(slot);
  const uint64_t working = pes_at_work(), running = pes_that_run();
  if (working != 0) queue->completion.place = lowest_bit(working);
  /* A PE that has not started the job stands at another one. */
  if (running != 0) failure_describe_stand(queue, lowest_bit(running));
  queue->completion.job_index = job->index;
  queue->completion.kernel = job->kernel;
}

/* Error that ends the job, or OK while it may go on. The slot is selected. */
static uint32_t look(struct job *job) {
  const uint64_t working = pes_at_work(), running = pes_that_run();
  const uint64_t blocked = mmio_read64(REGISTER(WORK_QUEUE_ENGINE, BLOCKED)) & running;
  const uint32_t result = mmio_read32(REGISTER(WORK_QUEUE_ENGINE, RESULT));
  /*
   * A PE that still has an earlier job to end may yet bring what the others wait for. Twice the same: the registers are not
   * read at one moment.
   */
  const uint64_t stuck = working == blocked ? working : 0;
  const bool still_stuck = stuck != 0 && stuck == job->stuck_pes;
  job->stuck_pes = stuck;
  if (result != MTIA_ERROR_OK) {
    job->failed_looks++;
    return still_stuck || job->failed_looks > LOOKS_AFTER_FAILURE ? result : MTIA_ERROR_OK;
  }
  return still_stuck ? MTIA_ERROR_DEADLOCK : MTIA_ERROR_OK;
}

void jobs_look(struct control *control) {
  struct jobs *jobs = &control->jobs;
  note_starts(control);
  for (uint64_t rest = ~jobs->free_slots; (rest &= ~jobs->free_slots) != 0; rest &= rest - 1) {
    const uint32_t slot = lowest_bit(rest);
    struct job *job = &jobs->slots[slot];
    struct queue *queue = job->queue;
    /* A job that has ended meanwhile is jobs_collect's. */
    if ((mmio_read64(REGISTER(WORK_QUEUE_ENGINE, DONE)) >> slot & 1) != 0) continue;
    select_slot(slot);
    uint32_t error = look(job);
    if (error == MTIA_ERROR_OK) continue;
    if (error == MTIA_ERROR_DEADLOCK) failure_describe_stand(queue, lowest_bit(job->stuck_pes));
    else error = failure_read(queue, error);
    queue->completion.job_index = job->index;
    queue->completion.kernel = job->kernel;
    queue_abort(control, queue, error);
  }
}

void jobs_stop(struct control *control, struct queue *queue) {
  queue_list_remove(&control->jobs.waiting, queue);
  queue->launch.waiting = false;
  while (queue->launch.slots != 0) stop_and_release(&control->jobs, lowest_bit(queue->launch.slots));
}
