/* The queue engine: submission rings in, completion rings out. */
#ifndef MTIA_QUEUE_ENGINE_H
#define MTIA_QUEUE_ENGINE_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "generated/mtia_hw.h"

struct chip;

/* Completions that wait for room in a host ring. While one waits nothing is fetched, so more than these never come. */
#define HELD_COMPLETIONS 512u

struct queue {
  /* Taken by the host to start and stop the queue, by the control thread to fetch and post. */
  pthread_mutex_t lock;

  /* What the host wrote; takes effect with ENABLE. */
  _Atomic uint64_t submission_base, completion_base;
  _Atomic uint32_t submission_entries, completion_entries, context, vector, priority, enable;

  /* Doorbells and what the host sees of the engine. */
  _Atomic uint32_t submission_tail, completion_head;
  _Atomic uint32_t submission_head, completion_tail;
  _Atomic uint32_t fault;
  _Atomic uint32_t held_count;

  /* Latched by ENABLE; under the lock. */
  struct queue_setup {
    uint64_t submission_base, completion_base;
    uint32_t submission_entries, completion_entries, context, vector, priority;
  } setup;
  bool running;
  uint32_t held_first; /* in the queue's ring of HELD_COMPLETIONS */

  /* Registers FETCHED, CONSUMED, CONTEXT and PRIORITY, of the control thread: of the life that the firmware knows. */
  uint32_t fetched, consumed, known_context, known_priority;
};

struct queue_engine {
  struct queue queues[MTIA_LIMIT_QUEUES];
  _Atomic uint32_t doorbells; /* bit per queue: has something for queue_engine_service */
  _Atomic uint32_t changed;   /* register CHANGED */
  _Atomic uint32_t enabled;   /* register ENABLED */
  uint64_t completion_address;
  uint32_t post_error;
  struct mtia_completion *held; /* HELD_COMPLETIONS of every queue */
};

/* 0 or CHIP_NO_MEMORY. */
int32_t queue_engine_create(struct queue_engine *engine);
void queue_engine_destroy(struct queue_engine *engine);
/* Power-on state. The chip is at rest. */
void queue_engine_reset(struct chip *chip);

/* Host side: the 4-byte words of a queue page. Any thread. */
uint32_t queue_page_read(struct chip *chip, uint32_t queue, uint32_t offset);
void queue_page_write(struct chip *chip, uint32_t queue, uint32_t offset, uint32_t value);

/* Control thread: serves what doorbells ask for. True where it did something. */
bool queue_engine_service(struct chip *chip);
/* Register PENDING. */
uint32_t queue_engine_pending(const struct queue_engine *engine);

bool queue_engine_read32(struct chip *chip, uint32_t offset, uint32_t *value);
bool queue_engine_read64(struct chip *chip, uint32_t offset, uint64_t *value);
bool queue_engine_write32(struct chip *chip, uint32_t offset, uint32_t value);
bool queue_engine_write64(struct chip *chip, uint32_t offset, uint64_t value);

#endif
