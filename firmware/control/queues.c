#include "queues.h"
#include <stddef.h>
#include "aborts.h"
#include "bits.h"
#include "bytes.h"
#include "commands.h"
#include "mmio.h"
#include "timers.h"

#define FETCHED(number) (REGISTER(QUEUE_ENGINE, FETCHED) + 4 * (number))
#define CONSUMED(number) (REGISTER(QUEUE_ENGINE, CONSUMED) + 4 * (number))
#define CONTEXT(number) (REGISTER(QUEUE_ENGINE, CONTEXT) + 4 * (number))
#define PRIORITY(number) (REGISTER(QUEUE_ENGINE, PRIORITY) + 4 * (number))
/* A queue that higher ones were preferred to so often comes next: none starves. */
#define PASSED_OVER_MOST 16u

/* Of a set that is not empty, the first at or after `from`, in a circle. */
static uint32_t first_from(uint32_t bits, uint32_t from) {
  const uint32_t later = bits & ~0u << from;
  return lowest_bit(later != 0 ? later : bits);
}

static void identify(struct queues *queues, struct queue *queue, uint32_t number) {
  const uint32_t bit = 1u << number;
  queue->number = number;
  queue->context = mmio_read32(CONTEXT(number));
  queue->priority = mmio_read32(PRIORITY(number)) % MTIA_LIMIT_QUEUE_PRIORITIES;
  for (uint32_t level = 0; level < MTIA_LIMIT_QUEUE_PRIORITIES; level++) queues->of_priority[level] &= ~bit;
  queues->of_priority[queue->priority] |= bit;
  queues->starved &= ~bit;
}

void queues_initialise(struct queues *queues) {
  for (uint32_t number = 0; number < MTIA_LIMIT_QUEUES; number++) identify(queues, &queues->queue[number], number);
}

static void update_ready(struct queues *queues, const struct queue *queue) {
  const uint32_t bit = 1u << queue->number;
  if (queue->running == NULL && queue->next != queue->available) queues->ready |= bit;
  else queues->ready &= ~bit;
}

static void begin_new_life(struct control *control, struct queue *queue) {
  if (queue->running != NULL && queue->running->stop != NULL) queue->running->stop(control, queue);
  const uint32_t number = queue->number;
  memset(queue, 0, sizeof *queue);
  identify(&control->queues, queue, number);
  mmio_write32(CONSUMED(number), 0);
  update_ready(&control->queues, queue);
}

void queues_changed(struct control *control) {
  uint32_t changed = mmio_read32(REGISTER(QUEUE_ENGINE, CHANGED));
  mmio_write32(REGISTER(QUEUE_ENGINE, CHANGED), changed);
  for (; changed != 0; changed &= changed - 1) begin_new_life(control, &control->queues.queue[lowest_bit(changed)]);
}

/*
 * Entries are reported as consumed when they are noted, not when they are started: SUBMISSION is level-triggered, and a
 * queue with a long command under way would otherwise keep the core awake. They stay where they are, because a host may
 * have no more commands without completion than its completion ring has entries, which is at most the ring here.
 */
void queues_fetch(struct control *control) {
  uint32_t pending = mmio_read32(REGISTER(QUEUE_ENGINE, PENDING));
  for (; pending != 0; pending &= pending - 1) {
    struct queue *queue = &control->queues.queue[lowest_bit(pending)];
    queue->available = mmio_read32(FETCHED(queue->number));
    mmio_write32(CONSUMED(queue->number), queue->available);
    update_ready(&control->queues, queue);
  }
}

/* False where the host restarted the queue meanwhile: the entry may be one of the new life, which comes later. */
static bool take_entry(struct queue *queue) {
  const uint64_t ring = MTIA_DESCRIPTOR_SRAM_BASE + (uint64_t)queue->number * MTIA_RESERVED_QUEUE_DESCRIPTOR_BYTES;
  const uint64_t entry = ring + queue->next % MTIA_LIMIT_QUEUE_ENTRIES * sizeof queue->submission;
  memory_barrier();
  memcpy(&queue->submission, (const void *)(uintptr_t)entry, sizeof queue->submission);
  return (mmio_read32(REGISTER(QUEUE_ENGINE, CHANGED)) >> queue->number & 1) == 0;
}

static void start_command(struct control *control, struct queue *queue) {
  const uint32_t position = queue->next++;
  queue->completion = (struct mtia_completion){.cookie = queue->submission.cookie, .place = MTIA_NOT_IN_A_PE};
  queue->deadline = 0;
  if (abort_take(queue, position)) {
    queue_complete(control, queue, MTIA_ERROR_ABORTED);
    return;
  }
  const struct command *command;
  uint32_t status = command_check(control, queue, &command);
  if (status == MTIA_ERROR_OK) {
    queue->running = command;
    status = command->start(control, queue);
  }
  if (status != COMMAND_RUNNING) queue_complete(control, queue, status);
}

/* The ready queues that are not served though one of `priority` is. */
static void pass_over(struct queues *queues, uint32_t priority) {
  uint32_t lower = 0;
  for (uint32_t level = 0; level < priority; level++) lower |= queues->of_priority[level];
  for (uint32_t rest = lower & queues->ready; rest != 0; rest &= rest - 1) {
    struct queue *queue = &queues->queue[lowest_bit(rest)];
    if (++queue->passed_over >= PASSED_OVER_MOST) queues->starved |= 1u << queue->number;
  }
}

/* Some queue is ready. */
static struct queue *next_queue(struct queues *queues) {
  uint32_t candidates = queues->ready & queues->starved;
  for (uint32_t level = MTIA_LIMIT_QUEUE_PRIORITIES; candidates == 0; level--) {
    candidates = queues->ready & queues->of_priority[level - 1];
  }
  struct queue *queue = &queues->queue[first_from(candidates, queues->turn)];
  queues->turn = (queue->number + 1) % MTIA_LIMIT_QUEUES;
  queues->starved &= ~(1u << queue->number);
  queue->passed_over = 0;
  pass_over(queues, queue->priority);
  return queue;
}

void queues_run(struct control *control) {
  struct queues *queues = &control->queues;
  while (queues->ready != 0) {
    struct queue *queue = next_queue(queues);
    if (!take_entry(queue)) {
      queues_changed(control);
      continue;
    }
    /* Not ready while its command runs; completion decides anew. */
    queues->ready &= ~(1u << queue->number);
    start_command(control, queue);
  }
}

void queue_complete(struct control *control, struct queue *queue, uint32_t status) {
  queue->running = NULL;
  queue->completion.status = status;
  /* Queue 0 signals in place of others, and says itself what has failed. */
  if (status != MTIA_ERROR_OK && queue->number != 0) queue->failed = true;
  memory_barrier();
  mmio_write64(REGISTER(QUEUE_ENGINE, COMPLETION_ADDRESS), (uint64_t)(uintptr_t)&queue->completion);
  /* A ring that the host has made unreachable stops that queue (QUEUE_PAGE.FAULT); nothing is left to do here. */
  mmio_write32(REGISTER(QUEUE_ENGINE, COMPLETION_POST), queue->number);
  update_ready(&control->queues, queue);
}

void queue_abort(struct control *control, struct queue *queue, uint32_t status) {
  if (queue->running == NULL) return;
  if (queue->running->stop != NULL) queue->running->stop(control, queue);
  queue_complete(control, queue, status);
}

void queue_list_insert(struct queue_list *list, struct queue *queue) {
  uint32_t place = list->count++;
  for (; place > 0; place--) {
    struct queue *before = list->queues[place - 1];
    if (before->priority >= queue->priority || list->passed_over[before->number] >= PASSED_OVER_MOST) break;
    list->passed_over[before->number]++;
    list->queues[place] = before;
  }
  list->queues[place] = queue;
  list->passed_over[queue->number] = 0;
}

void queue_list_remove(struct queue_list *list, const struct queue *queue) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < list->count; i++) {
    if (list->queues[i] != queue) list->queues[kept++] = list->queues[i];
  }
  list->count = kept;
}
