/*
 * A graph lies in memory that its context may write at any time, and nothing in it is trusted: header and records are
 * copied first, and what is checked is the copy.
 */
#include "graphs.h"
#include "bytes.h"
#include "device_time.h"
#include "jobs.h"
#include "launches.h"

static uint32_t read_memory(const struct control *control, struct queue *queue, void *to, uint64_t address, uint64_t bytes) {
  if (address % sizeof(uint64_t) != 0) return refuse(queue, MTIA_ERROR_INVALID_COMMAND, address);
  if (!page_owners_allow_read(&control->owners, queue->context, address, bytes)) {
    return refuse(queue, MTIA_ERROR_MEMORY_PROTECTION, address);
  }
  memcpy(to, (const void *)(uintptr_t)address, bytes);
  return MTIA_ERROR_OK;
}

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
  uint32_t error = read_memory(control, queue, &header, submission->a, sizeof header);
  if (error != MTIA_ERROR_OK) return error;
  if (!header_is_sound(&header)) return refuse(queue, MTIA_ERROR_INVALID_GRAPH, submission->a);
  if (submission->c != header.segment_count) return refuse(queue, MTIA_ERROR_INVALID_COMMAND, submission->c);
  struct launch *launch = &queue->launch;
  if (header.segment_count > 0) {
    error = read_memory(control, queue, launch->segments, submission->b, header.segment_count * sizeof(uint64_t));
    if (error != MTIA_ERROR_OK) return error;
  }
  launch->graph = submission->a;
  launch->segment_count = header.segment_count;
  launch->job_count = header.job_count;
  launch->next_job = 0;
  device_time_begin(&launch->time);
  if (header.job_count == 0) return MTIA_ERROR_OK;
  error = graph_submit_jobs(control, queue);
  if (error == MTIA_ERROR_OK) return COMMAND_RUNNING;
  launch_stop(control, queue);
  return error;
}

static bool job_is_sound(const struct mtia_graph_job *job, uint32_t segment_count) {
  if ((job->flags & ~(uint32_t)MTIA_GRAPH_JOB_BARRIER) != 0 || job->argument_words > MTIA_GRAPH_ARGUMENT_WORDS ||
      (job->reserved[0] | job->reserved[1]) != 0) {
    return false;
  }
  for (uint32_t i = 0; i < job->argument_words; i++) {
    if (job->segment[i] > segment_count) return false;
  }
  return true;
}

static uint32_t prepare(struct control *control, struct queue *queue, const struct mtia_graph_job *job) {
  struct launch *launch = &queue->launch;
  queue->completion.kernel = job->kernel;
  if (!job_is_sound(job, launch->segment_count)) return refuse(queue, MTIA_ERROR_INVALID_GRAPH, launch->next_job);
  const struct rectangle rectangle = {job->column, job->row, job->columns, job->rows};
  const uint32_t error = launch_prepare(control, queue, job->kernel, rectangle);
  if (error != MTIA_ERROR_OK) return error;
  struct mtia_job_descriptor *descriptor = &launch->descriptor;
  descriptor->argument_words = job->argument_words;
  for (uint32_t i = 0; i < job->argument_words; i++) {
    const uint32_t segment = job->segment[i];
    descriptor->arguments[i] = job->arguments[i] + (segment == 0 ? 0 : launch->segments[segment - 1]);
  }
  launch->job_index = launch->next_job;
  return MTIA_ERROR_OK;
}

uint32_t graph_submit_jobs(struct control *control, struct queue *queue) {
  struct launch *launch = &queue->launch;
  while (!launch->waiting && launch->next_job < launch->job_count) {
    queue->completion.job_index = launch->next_job;
    const uint64_t address = launch->graph + sizeof(struct mtia_graph_header) +
                             (uint64_t)launch->next_job * sizeof(struct mtia_graph_job);
    struct mtia_graph_job job __attribute__((aligned(8)));
    uint32_t error = read_memory(control, queue, &job, address, sizeof job);
    if (error != MTIA_ERROR_OK) return error;
    /* Read again when the earlier jobs are done. */
    const bool barrier = (job.flags & MTIA_GRAPH_JOB_BARRIER) != 0;
    if (barrier && launch->slots != 0) return MTIA_ERROR_OK;
    if (barrier) device_time_barrier(&launch->time);
    error = prepare(control, queue, &job);
    if (error == MTIA_ERROR_OK) error = jobs_submit(control, queue);
    if (error != MTIA_ERROR_OK) return error;
    launch->next_job++;
  }
  return MTIA_ERROR_OK;
}
