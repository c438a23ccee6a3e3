#include "launches.h"
#include "context_memory.h"
#include "copies.h"
#include "device_time.h"
#include "graphs.h"
#include "jobs.h"
#include "kernels.h"
#include "queues.h"

uint32_t launch_prepare(struct control *control, struct queue *queue, uint32_t kernel, struct rectangle rectangle) {
  struct launch *launch = &queue->launch;
  queue->completion.kernel = kernel;
  launch->pes = rectangle_pes(&control->chip, rectangle);
  if (launch->pes == 0) return refuse(queue, MTIA_ERROR_INVALID_GRID, rectangle_encode(rectangle));
  uint64_t entry;
  const uint32_t error = kernel_load(control, kernel, &entry);
  if (error != MTIA_ERROR_OK) return refuse(queue, error, kernel);
  struct mtia_job_descriptor *descriptor = &launch->descriptor;
  descriptor->entry = entry;
  descriptor->context = queue->context;
  descriptor->kernel = kernel;
  descriptor->column = (uint8_t)rectangle.column;
  descriptor->row = (uint8_t)rectangle.row;
  descriptor->columns = (uint8_t)rectangle.columns;
  descriptor->rows = (uint8_t)rectangle.rows;
  return MTIA_ERROR_OK;
}

static uint32_t read_arguments(const struct control *control, struct queue *queue) {
  const uint64_t address = queue->submission.b, bytes = queue->submission.c;
  struct mtia_job_descriptor *descriptor = &queue->launch.descriptor;
  descriptor->argument_words = (uint32_t)(bytes / sizeof(uint64_t));
  if (bytes == 0) return MTIA_ERROR_OK;
  if (bytes % sizeof(uint64_t) != 0 || bytes > sizeof descriptor->arguments) {
    return refuse(queue, MTIA_ERROR_INVALID_COMMAND, bytes);
  }
  return context_memory_read(control, queue, descriptor->arguments, address, bytes);
}

uint32_t launch_start(struct control *control, struct queue *queue) {
  const struct mtia_submission *submission = &queue->submission;
  if (submission->a > UINT32_MAX) return refuse(queue, MTIA_ERROR_UNKNOWN_KERNEL, submission->a);
  if (submission->d > UINT32_MAX) return refuse(queue, MTIA_ERROR_INVALID_GRID, submission->d);
  uint32_t error = launch_prepare(control, queue, (uint32_t)submission->a, rectangle_decode(submission->d));
  if (error == MTIA_ERROR_OK) error = read_arguments(control, queue);
  if (error != MTIA_ERROR_OK) return error;
  queue->launch.job_index = 0;
  queue->launch.next_job = 1;
  queue->launch.job_count = 1;
  device_time_begin(&queue->launch.time);
  error = jobs_submit(control, queue);
  return error == MTIA_ERROR_OK ? COMMAND_RUNNING : error;
}

void launch_stop(struct control *control, struct queue *queue) {
  jobs_stop(control, queue);
  copy_stop(control, queue);
  queue->launch.copying = false;
}

void launch_continue(struct control *control, struct queue *queue) {
  struct launch *launch = &queue->launch;
  if (launch->next_job < launch->job_count) {
    const uint32_t error = graph_submit_jobs(control, queue);
    if (error != MTIA_ERROR_OK) {
      queue_abort(control, queue, error);
      return;
    }
  }
  if (launch->next_job == launch->job_count && launch->slots == 0 && !launch->waiting && !launch->copying) {
    queue_complete(control, queue, MTIA_ERROR_OK);
  }
}
