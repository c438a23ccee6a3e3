#include "contexts.h"
#include <stddef.h>
#include "copies.h"
#include "queues.h"
#include "semaphores.h"

static struct queue *administration_queue(struct control *control) { return &control->queues.queue[0]; }

uint32_t context_create(struct control *control, struct queue *queue) {
  const uint64_t context = queue->submission.a;
  if (context < 1 || context >= MTIA_LIMIT_CONTEXTS || context_is_live(control, (uint32_t)context)) {
    return refuse(queue, MTIA_ERROR_INVALID_CONTEXT, context);
  }
  control->contexts.live |= 1u << context;
  return MTIA_ERROR_OK;
}

/*
 * Whoever gets the pages next must not find accesses of their former owner under way. New ones the chip refuses from now
 * on; a DMA channel that has already begun is waited for.
 */
static uint32_t drain(struct control *control, uint32_t context) {
  control->contexts.draining_channels = copies_channels_of(&control->copies, context);
  return control->contexts.draining_channels == 0 ? MTIA_ERROR_OK : COMMAND_RUNNING;
}

void contexts_channel_idle(struct control *control, uint32_t channel) {
  struct contexts *contexts = &control->contexts;
  if ((contexts->draining_channels >> channel & 1) == 0) return;
  contexts->draining_channels &= ~(1u << channel);
  if (contexts->draining_channels == 0) queue_complete(control, administration_queue(control), MTIA_ERROR_OK);
}

void context_drain_stop(struct control *control, struct queue *queue) {
  (void)queue;
  control->contexts.draining_channels = 0;
}

uint32_t context_destroy(struct control *control, struct queue *queue) {
  const uint64_t context = queue->submission.a;
  if (context >= MTIA_LIMIT_CONTEXTS || !context_is_live(control, (uint32_t)context)) {
    return refuse(queue, MTIA_ERROR_INVALID_CONTEXT, context);
  }
  control->contexts.live &= ~(1u << context);
  for (uint32_t number = 1; number < MTIA_LIMIT_QUEUES; number++) {
    struct queue *other = &control->queues.queue[number];
    if (other->context == context) queue_abort(control, other, MTIA_ERROR_ABORTED);
  }
  semaphores_clear(control, (uint32_t)context);
  const uint32_t error = page_owners_take_back_all(&control->owners, (uint32_t)context);
  return error == MTIA_ERROR_OK ? drain(control, (uint32_t)context) : error;
}

/* The range was checked when the command started, and queue 0 has only one command under way. */
static struct page_range submitted_range(const struct control *control, const struct queue *queue) {
  struct page_range range = {0, 0};
  page_range_of(&control->owners, queue->submission.b, queue->submission.c * MTIA_PROTECTION_PAGE_BYTES, &range);
  return range;
}

static void give_scrubbed(struct control *control, struct queue *queue, uint32_t error) {
  if (error == MTIA_ERROR_OK) {
    error = page_owners_give(&control->owners, submitted_range(control, queue), (uint32_t)queue->submission.a);
  }
  queue_complete(control, queue, error);
}

static uint32_t give(struct control *control, struct queue *queue, struct page_range range) {
  const struct mtia_submission *submission = &queue->submission;
  const uint32_t context = (uint32_t)submission->a;
  if (!page_owners_all_free(&control->owners, range)) return refuse(queue, MTIA_ERROR_MEMORY_PROTECTION, submission->b);
  if (!page_owners_need_scrub(&control->owners, range, context)) {
    return page_owners_give(&control->owners, range, context);
  }
  queue->copy = (struct copy){
      .kind = MTIA_DMA_FILL32,
      .destination = submission->b,
      .bytes = submission->c * MTIA_PROTECTION_PAGE_BYTES,
      .finished = give_scrubbed,
  };
  return copy_submit(control, queue);
}

static uint32_t take_back(struct control *control, struct queue *queue, struct page_range range) {
  const uint32_t context = (uint32_t)queue->submission.a;
  if (!page_owners_all_of(&control->owners, range, context)) {
    return refuse(queue, MTIA_ERROR_MEMORY_PROTECTION, queue->submission.b);
  }
  const uint32_t error = page_owners_take_back(&control->owners, range, context);
  return error == MTIA_ERROR_OK ? drain(control, context) : error;
}

uint32_t pages_assign(struct control *control, struct queue *queue) {
  const struct mtia_submission *submission = &queue->submission;
  if (submission->a >= MTIA_LIMIT_CONTEXTS || !context_is_live(control, (uint32_t)submission->a)) {
    return refuse(queue, MTIA_ERROR_INVALID_CONTEXT, submission->a);
  }
  if (submission->b % MTIA_PROTECTION_PAGE_BYTES != 0) return refuse(queue, MTIA_ERROR_INVALID_COMMAND, submission->b);
  if (submission->c == 0 || submission->c > SRAM_PAGES + LPDDR_PAGES) {
    return refuse(queue, MTIA_ERROR_INVALID_COMMAND, submission->c);
  }
  if (submission->d > 1) return refuse(queue, MTIA_ERROR_INVALID_COMMAND, submission->d);
  struct page_range range;
  if (!page_range_of(&control->owners, submission->b, submission->c * MTIA_PROTECTION_PAGE_BYTES, &range)) {
    return refuse(queue, MTIA_ERROR_MEMORY_PROTECTION, submission->b);
  }
  return submission->d == 1 ? give(control, queue, range) : take_back(control, queue, range);
}

void pages_assign_stop(struct control *control, struct queue *queue) {
  copy_stop(control, queue);
  context_drain_stop(control, queue);
}
