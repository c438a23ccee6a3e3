/*
 * Links between the PEs of one job: what one PE sends arrives in a place of the other that a small lock guards, and stays
 * there until the other admits it. Everything that arrives carries the job's number, so that a PE which has not started the
 * job yet keeps it and one whose part of the job has ended drops it, and a time in cycles since the start of the job, because
 * every PE has a clock of its own.
 *
 * The host runs PEs ahead of each other as it likes; device time must not show it. So arrivals change nothing by themselves.
 * A PE admits one when none of its harts can go on: the earliest of those it waits for, as soon as all of these are there.
 * Where some never come, because the PE waits for one of several, whoever finds all PEs of the job at rest admits the
 * earliest arrival of all of them (Chandy and Misra's recovery from deadlock). A hart that spins instead of waiting gives up
 * this order: what is there is admitted after SPIN_INSTRUCTIONS.
 */
#ifndef MTIA_PE_LINK_H
#define MTIA_PE_LINK_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "generated/mtia_hw.h"
#include "matmul.h"

struct pe;

#define LINKS MTIA_LIMIT_REDUCTION_LINKS
#define LINK_BLOCKS MTIA_LIMIT_REDUCTION_BLOCKS
/* From a PE to its neighbour. Assumed: not published. */
#define HOP_CYCLES 4

/* What a command or hart may wait for from outside the PE, as bits. */
#define AWAITS_BLOCK(link) (1u << (link))
#define AWAITS_ROOM(link) (1u << (LINKS + (link)))
#define AWAITABLE (2 * LINKS)
/* Any PE may end the wait: only a look at all of them can tell what comes next. */
#define AWAITS_ANY_PE (1u << AWAITABLE)

struct reduction_block {
  uint64_t job, time; /* when its last row is there */
  uint32_t rows, columns, type;
  uint32_t values[MATMUL_ROWS][MATMUL_COLUMNS];
};

/*
 * Blocks from the northern or western neighbour, in a ring. The neighbour may be a job ahead, but no more: this PE takes jobs
 * in the same order and holds two at most. So there is room for the blocks of two jobs. A block of a job that is over here, or
 * was withdrawn, is dropped as it comes.
 */
#define INLET_BLOCKS (2 * LINK_BLOCKS)
struct reduction_inlet {
  struct reduction_block *blocks;
  uint64_t arrived, admitted, taken; /* since power-on; block i is at i % INLET_BLOCKS */
};

/* To the southern or eastern neighbour. Credit i says when the place that block i took was free again. */
struct reduction_outlet {
  uint64_t sent, credits, admitted;
  uint64_t credit_times[LINK_BLOCKS];
};

/* What a hart asks of another PE (pe_atomics.c). */
enum request_state { REQUEST_NONE, REQUEST_WAITS, REQUEST_DONE, REQUEST_FAILED /* that PE's part of the job has ended */ };
struct atomic_request {
  enum request_state state;
  uint32_t code, pe, semaphore;
  bool flag;
  uint64_t value; /* or the scope of a barrier */
  uint64_t time;  /* of the request, then of the reply */
  uint64_t result;
};

struct pe_links {
  pthread_mutex_t lock; /* of what neighbours write: arrived and blocks of inlets, credits of outlets, and of job */
  _Atomic uint64_t arrivals;
  uint64_t seen; /* arrivals that the last look for something to admit has seen */
  bool was_admitted; /* by pe_links_admit_first, and the PE has not gone on yet */
  uint64_t job;  /* number of the job that the PE works on; 0: none */
  uint64_t past; /* number of the last job that the PE is through with, or has never had */
  uint64_t withdrawn; /* number of the last job that was taken from the PE before it started */
  uint64_t rest_at; /* instructions of the PE when it last was at rest */
  struct reduction_inlet inlets[LINKS];
  struct reduction_outlet outlets[LINKS];
  struct atomic_request requests[2]; /* of its harts */
};

/* False where memory is short. */
bool pe_links_create(struct pe *pe);
void pe_links_destroy(struct pe *pe);
void pe_links_begin_job(struct pe *pe, uint64_t job);
/* Any thread: the PE will not start the job. What other PEs have sent for it, or still send, is dropped. */
void pe_links_withdraw_job(struct pe *pe, uint64_t job);
/* The PE's part has ended, or the PE is reset. */
void pe_links_end_job(struct pe *pe);

/* Neighbour from which the link comes or to which it goes, inside the job's rectangle; NULL: there is none. */
struct pe *pe_link_source(const struct pe *pe, uint32_t link);
struct pe *pe_link_destination(const struct pe *pe, uint32_t link);
/* Whether what `awaits` names has been admitted. */
bool pe_links_ready(const struct pe *pe, uint32_t awaits);
/* Earliest cycle (of this PE's clock) at which the next block finds room in the neighbour's FIFO. It is ready. */
uint64_t pe_link_room_time(const struct pe *pe, uint32_t link);
/* Sends a block whose last row leaves at a cycle of this PE's clock. There is room. */
void pe_link_send(struct pe *pe, uint32_t link, struct reduction_block *block, uint64_t time);
/* The next block, its time in this PE's clock; it is there until pe_link_release, at which cycle its place is free. */
const struct reduction_block *pe_link_next(const struct pe *pe, uint32_t link, uint64_t *time);
void pe_link_release(struct pe *pe, uint32_t link, uint64_t time);

/* The PE is at rest: admits what it waits for if all of it is there. True: a hart may go on. */
bool pe_links_admit(struct pe *pe);
/* A hart spins: admits what is there. */
void pe_links_admit_while_spinning(struct pe *pe);
/* Something arrived after the last look. */
bool pe_links_have_news(struct pe *pe);
/*
 * All PEs of a job that still work on it, as bits, are at rest: admits the earliest arrival that one of them waits for, or does
 * the earliest atomic operation. The PEs that may go on, as bits; 0: there are none.
 */
uint64_t pe_links_admit_first(struct pe *const *pes, uint64_t mask);
/* "a block from PE 3" */
int pe_links_describe(const struct pe *pe, uint32_t awaits, char *text, uint32_t bytes);

#endif
