/* The state of the control firmware. One instance, in main.c; everything gets a pointer to it. */
#ifndef MTIA_CONTROL_H
#define MTIA_CONTROL_H
#include <stdbool.h>
#include <stdint.h>
#include "bundle.h"
#include "chip.h"
#include "features.h"
#include "generated/mtia_hw.h"
#include "page_owners.h"

struct control;
struct queue;

/* What a command's start function returns when the command completes later; everything else is an error code. */
#define COMMAND_RUNNING 0xffffffffu

enum command_scope {
  SCOPE_ANY,           /* every queue whose context exists */
  SCOPE_CONTEXT,       /* the same, but not the driver's own context, which memory protection does not bind */
  SCOPE_ADMINISTRATION /* queue 0 */
};

struct command {
  uint32_t (*start)(struct control *, struct queue *);
  /* Ends at once what the command has under way; it completes nothing. NULL where there is nothing to end. */
  void (*stop)(struct control *, struct queue *);
  enum command_scope scope;
  /* NULL: every chip can. */
  bool (*possible)(const struct chip *);
  /* For ABORT. True where the command ends and completes by itself soon; else, or where NULL, `stop` ends it. */
  bool (*cancel)(struct control *, struct queue *);
};

/* A copy or fill that waits for a DMA channel or runs on one. */
struct copy {
  uint32_t kind; /* MTIA_DMA_* */
  uint32_t context;
  uint64_t source, destination, bytes;
  uint64_t destination_bytes, produced; /* of a copy that decompresses: room, and what was written */
  void (*finished)(struct control *, struct queue *, uint32_t error);
};

/* PEs that have worked for the same time since the last barrier. */
struct span {
  uint64_t pes, cycles;
};

struct device_time {
  uint64_t at_barrier; /* cycles until the last barrier */
  uint32_t span_count;
  struct span spans[MTIA_LIMIT_JOB_SLOTS]; /* as many as PEs */
};

/* LAUNCH or GRAPH_LAUNCH: the jobs that are at PEs, and the next one. */
struct launch {
  uint64_t slots;       /* bit per job slot that works for this launch */
  bool copying;         /* a copy or fill of the graph is under way */
  bool waiting;         /* descriptor and pes are those of a job that waits for its PEs */
  uint64_t pes;         /* bit per PE */
  uint32_t job_index;   /* of descriptor */
  uint32_t next_job;    /* of a graph */
  uint32_t job_count;
  uint64_t graph;       /* address of the header */
  uint32_t segment_count;
  uint64_t segments[MTIA_GRAPH_SEGMENTS];
  struct mtia_job_descriptor descriptor;
  struct device_time time;
};

/* A submission ring and the one command of it that is under way. */
struct queue {
  uint32_t number, context;
  uint32_t priority;    /* the highest is served first */
  uint32_t passed_over; /* times that a higher one was served instead, since its last turn */
  uint32_t next, available;      /* entries taken, entries fetched, modulo 2^32 */
  const struct command *running; /* NULL = none */
  uint64_t deadline;             /* MTIME, 0 = none */
  bool failed;                   /* a command has failed: what is signalled is poisoned */
  bool aborting;                 /* a wait was poisoned: what is behind it is aborted */
  uint32_t aborted[MTIA_LIMIT_QUEUE_ENTRIES / 32]; /* bit per ring entry: to be completed with ABORTED, not started */
  struct mtia_submission submission;
  struct mtia_completion completion;
  struct copy copy;
  struct launch launch;
};

/* Queues that wait for something, the next to get it first. */
struct queue_list {
  uint32_t count;
  uint32_t passed_over[MTIA_LIMIT_QUEUES]; /* by queue: later ones of higher priority that were put before it */
  struct queue *queues[MTIA_LIMIT_QUEUES];
};

struct queues {
  uint32_t ready; /* bit per queue that has an entry and nothing under way */
  uint32_t turn;  /* queue that is looked at first */
  uint32_t of_priority[MTIA_LIMIT_QUEUE_PRIORITIES]; /* bit per queue */
  uint32_t starved; /* bit per queue that has been passed over long enough */
  struct queue queue[MTIA_LIMIT_QUEUES];
};

struct channel {
  bool busy;
  uint32_t context;
  struct queue *queue; /* NULL: the command was stopped, nobody wants the result */
};

struct copies {
  struct channel channels[MTIA_LIMIT_DMA_CHANNELS];
  struct queue_list waiting;
};

/* A job at its PEs. */
struct job {
  struct queue *queue;
  uint64_t pes;
  uint32_t index, kernel;
  uint64_t stuck_pes;    /* PEs that were blocked at the last look, all that were still at the job; else 0 */
  uint32_t failed_looks; /* looks since a PE of the job failed */
};

struct jobs {
  uint64_t free_slots;
  uint64_t unstarted_slots; /* a deadline will count from where all PEs of the slot's job have started it */
  struct queue_list waiting;
  struct job slots[MTIA_LIMIT_JOB_SLOTS];
};

struct semaphore {
  uint64_t value;
  uint64_t failed_from, failed_to; /* waits for these values fail: from, up to but without to; from 0 = none */
};

struct semaphores {
  uint32_t waiting; /* bit per queue */
  struct semaphore table[MTIA_LIMIT_CONTEXTS][MTIA_TIMELINE_SEMAPHORES];
};

struct contexts {
  uint32_t live;              /* bit per context */
  uint32_t draining_channels; /* bit per DMA channel that queue 0's command waits for */
};

struct kernel {
  const struct mtia_bundle_section *section; /* NULL = no kernel */
  uint64_t entry;                            /* 0 = not loaded yet */
  uint32_t error;                            /* why it cannot be loaded */
};

struct kernels {
  uint32_t count;
  uint64_t next_code; /* first free address of kernel code */
  struct kernel table[2 * BUNDLE_SECTIONS];
};

struct control {
  struct chip chip;
  struct bundle bundle;
  struct queues queues;
  struct copies copies;
  struct jobs jobs;
  struct semaphores semaphores;
  struct contexts contexts;
  struct kernels kernels;
  uint64_t timer; /* MTIMECMP */
  bool watching_jobs; /* the timer will look at jobs */
  uint64_t capabilities;
  struct page_owners owners;
};

/* Fills in the completion's value and gives the error back: `return refuse(queue, MTIA_ERROR_INVALID_COMMAND, field)`. */
static inline uint32_t refuse(struct queue *queue, uint32_t error, uint64_t value) {
  queue->completion.value = value;
  return error;
}

#endif
