/*
 * A graph lies in memory that its context may write at any time, and nothing in it is trusted: header and records are
 * copied first, and what is checked is the copy.
 */
#include "graphs.h"
#include "context_memory.h"
#include "copies.h"
#include "device_time.h"
#include "jobs.h"
#include "launches.h"
#include "queues.h"
#include "timers.h"

#define COPY_OR_FILL (MTIA_GRAPH_JOB_COPY | MTIA_GRAPH_JOB_FILL)
#define FLAGS (MTIA_GRAPH_JOB_BARRIER | COPY_OR_FILL)
#define COPY_WORDS 3u

static bool header_is_sound(const struct mtia_graph_header *header) {
  uint64_t reserved = 0;
  for (uint32_t i = 0; i < sizeof header->reserved / sizeof header->reserved[0]; i++) reserved |= header->reserved[i];
  return header->magic == MTIA_GRAPH_MAGIC && header->version == MTIA_PROTOCOL_VERSION && reserved == 0 &&
         header->segment_count <= MTIA_GRAPH_SEGMENTS;
}

uint32_t graph_start(struct control *control, struct queue *queue) {
  const struct mtia_submission *submission = &queue->submission;
  if (submission->d != 0) return refuse(queue, MTIA_ERROR_INVALID_COMMAND, submission->d);
  struct mtia_graph_header header __attribute__((aligned(8)));
  uint32_t error = context_memory_read(control, queue, &header, submission->a, sizeof header);
  if (error != MTIA_ERROR_OK) return error;
  if (!header_is_sound(&header)) return refuse(queue, MTIA_ERROR_INVALID_GRAPH, submission->a);
  if (submission->c != header.segment_count) return refuse(queue, MTIA_ERROR_INVALID_COMMAND, submission->c);
  struct launch *launch = &queue->launch;
  if (header.segment_count > 0) {
    error = context_memory_read(control, queue, launch->segments, submission->b, header.segment_count * sizeof(uint64_t));
    if (error != MTIA_ERROR_OK) return error;
  }
  launch->graph = submission->a;
  launch->segment_count = header.segment_count;
  launch->job_count = header.job_count;
  launch->next_job = 0;
  device_time_begin(&launch->time);
  if (header.job_count == 0) return MTIA_ERROR_OK;
  error = graph_submit_jobs(control, queue);
  /* A graph of nothing but empty copies has started nothing. */
  if (error == MTIA_ERROR_OK && (launch->slots != 0 || launch->waiting || launch->copying)) return COMMAND_RUNNING;
  launch_stop(control, queue);
  return error;
}

static bool job_is_sound(const struct mtia_graph_job *job, uint32_t segment_count) {
  const uint32_t transfer = job->flags & COPY_OR_FILL;
  if (transfer == COPY_OR_FILL || (transfer != 0 && job->argument_words != COPY_WORDS)) return false;
  if ((job->flags & ~(uint32_t)FLAGS) != 0 || job->argument_words > MTIA_GRAPH_ARGUMENT_WORDS ||
      (job->reserved[0] | job->reserved[1]) != 0) {
    return false;
  }
  for (uint32_t i = 0; i < job->argument_words; i++) {
    if (job->segment[i] > segment_count) return false;
  }
  return true;
}

static uint64_t argument(const struct launch *launch, const struct mtia_graph_job *job, uint32_t word) {
  const uint32_t segment = job->segment[word];
  return job->arguments[word] + (segment == 0 ? 0 : launch->segments[segment - 1]);
}

static uint32_t start_job(struct control *control, struct queue *queue, const struct mtia_graph_job *job) {
  struct launch *launch = &queue->launch;
  const struct rectangle rectangle = {job->column, job->row, job->columns, job->rows};
  const uint32_t error = launch_prepare(control, queue, job->kernel, rectangle);
  if (error != MTIA_ERROR_OK) return error;
  struct mtia_job_descriptor *descriptor = &launch->descriptor;
  descriptor->argument_words = job->argument_words;
  for (uint32_t i = 0; i < job->argument_words; i++) descriptor->arguments[i] = argument(launch, job, i);
  launch->job_index = launch->next_job;
  return jobs_submit(control, queue);
}

static void finish_transfer(struct control *control, struct queue *queue, uint32_t error) {
  queue->launch.copying = false;
  if (error != MTIA_ERROR_OK) {
    queue_abort(control, queue, error);
    return;
  }
  struct device_time *time = &queue->launch.time;
  time->at_barrier += copy_nanoseconds(control, &queue->copy) * control->chip.clock_mhz / 1000;
  queue->completion.device_ns = device_time_cycles(time) * 1000 / control->chip.clock_mhz;
  launch_continue(control, queue);
}

static uint32_t start_transfer(struct control *control, struct queue *queue, const struct mtia_graph_job *job) {
  struct launch *launch = &queue->launch;
  const bool fills = (job->flags & MTIA_GRAPH_JOB_FILL) != 0;
  queue->copy = (struct copy){
      .kind = fills ? MTIA_DMA_FILL32 : MTIA_DMA_DEVICE_TO_DEVICE,
      .context = queue->context,
      .source = argument(launch, job, 0),
      .destination = argument(launch, job, 1),
      .bytes = argument(launch, job, 2),
      .finished = finish_transfer,
  };
  const struct copy *copy = &queue->copy;
  const uint32_t error = fills ? fill_check(queue, copy->source, copy->destination, copy->bytes) : MTIA_ERROR_OK;
  if (error != MTIA_ERROR_OK || copy->bytes == 0) return error;
  launch->copying = true;
  if (queue->deadline == 0) timer_set_deadline(control, queue);
  copy_submit(control, queue);
  return MTIA_ERROR_OK;
}

uint32_t graph_submit_jobs(struct control *control, struct queue *queue) {
  struct launch *launch = &queue->launch;
  while (!launch->waiting && !launch->copying && launch->next_job < launch->job_count) {
    queue->completion.job_index = launch->next_job;
    const uint64_t address = launch->graph + sizeof(struct mtia_graph_header) +
                             (uint64_t)launch->next_job * sizeof(struct mtia_graph_job);
    struct mtia_graph_job job __attribute__((aligned(8)));
    uint32_t error = context_memory_read(control, queue, &job, address, sizeof job);
    if (error != MTIA_ERROR_OK) return error;
    /* Read again when the earlier jobs are done. */
    if ((job.flags & FLAGS) != 0 && launch->slots != 0) return MTIA_ERROR_OK;
    if ((job.flags & FLAGS) != 0) device_time_barrier(&launch->time);
    queue->completion.kernel = job.kernel;
    if (!job_is_sound(&job, launch->segment_count)) return refuse(queue, MTIA_ERROR_INVALID_GRAPH, launch->next_job);
    error = (job.flags & COPY_OR_FILL) != 0 ? start_transfer(control, queue, &job) : start_job(control, queue, &job);
    if (error != MTIA_ERROR_OK) return error;
    launch->next_job++;
  }
  return MTIA_ERROR_OK;
}
