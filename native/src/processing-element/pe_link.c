#include "pe_link.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "pe_internal.h"

/* About 30 ms of the host's time: no hart that computes something goes on for so long while the other one waits. */
#define SPIN_INSTRUCTIONS (1ull << 24)

/* ---- Life ---- */

bool pe_links_create(struct pe *pe) {
  struct pe_links *const links = &pe->links;
  /* Pages that no block was ever written to cost nothing. */
  struct reduction_block *const blocks = calloc(LINKS * INLET_BLOCKS, sizeof *blocks);
  if (blocks == NULL) return false;
  for (uint32_t link = 0; link < LINKS; link++) links->inlets[link].blocks = blocks + link * INLET_BLOCKS;
  pthread_mutex_init(&links->lock, NULL);
  return true;
}

void pe_links_destroy(struct pe *pe) {
  free(pe->links.inlets[0].blocks);
  pthread_mutex_destroy(&pe->links.lock);
}

static struct reduction_block *block_at(const struct reduction_inlet *inlet, uint64_t number) {
  return &inlet->blocks[number % INLET_BLOCKS];
}

/* Drops the blocks of jobs up to this one. The lock is held. */
static void drop_until(struct reduction_inlet *inlet, uint64_t job) {
  while (inlet->taken < inlet->arrived && block_at(inlet, inlet->taken)->job <= job) inlet->taken++;
  if (inlet->admitted < inlet->taken) inlet->admitted = inlet->taken;
}

/* No block of the job will be taken here: the PE is through with it, or was never to start it. The lock is held. */
static bool is_over(const struct pe_links *links, uint64_t job) { return job <= links->past || job == links->withdrawn; }

static void change_job(struct pe_links *links, uint64_t job, uint64_t past) {
  links->job = job;
  links->past = past;
  links->was_admitted = false;
  for (uint32_t link = 0; link < LINKS; link++) {
    struct reduction_outlet *const outlet = &links->outlets[link];
    drop_until(&links->inlets[link], past);
    outlet->sent = outlet->credits = outlet->admitted = 0;
  }
  memset(links->requests, 0, sizeof links->requests);
}

void pe_links_begin_job(struct pe *pe, uint64_t job) {
  struct pe_links *const links = &pe->links;
  pthread_mutex_lock(&links->lock);
  /* Jobs come in the order of their numbers. */
  change_job(links, job, job - 1);
  pthread_mutex_unlock(&links->lock);
  links->rest_at = pe_instructions(pe);
}

void pe_links_end_job(struct pe *pe) {
  struct pe_links *const links = &pe->links;
  pthread_mutex_lock(&links->lock);
  change_job(links, 0, links->job != 0 ? links->job : links->past);
  pthread_mutex_unlock(&links->lock);
}

void pe_links_withdraw_job(struct pe *pe, uint64_t job) {
  struct pe_links *const links = &pe->links;
  pthread_mutex_lock(&links->lock);
  links->withdrawn = job;
  for (uint32_t link = 0; link < LINKS; link++) {
    struct reduction_inlet *const inlet = &links->inlets[link];
    /* What came last is for the latest job. */
    while (inlet->arrived > inlet->admitted && block_at(inlet, inlet->arrived - 1)->job == job) inlet->arrived--;
  }
  pthread_mutex_unlock(&links->lock);
}

/* ---- Neighbours ---- */

/* The PE that many places further in the direction of the link. */
static struct pe *neighbour(const struct pe *pe, uint32_t link, int32_t places) {
  const struct pe_rectangle *const rectangle = &pe->rectangle;
  const uint32_t width = (uint32_t)pe->environment.specification->grid_width;
  const bool down = link == MTIA_REDUCTION_LINK_NORTH_TO_SOUTH;
  const uint32_t column = pe->index % width + (uint32_t)(down ? 0 : places);
  const uint32_t row = pe->index / width + (uint32_t)(down ? places : 0);
  const bool inside = column - rectangle->column < rectangle->columns && row - rectangle->row < rectangle->rows;
  if (pe->links.job == 0 || !inside) return NULL;
  return pe->environment.peer(pe->environment.context, row * width + column);
}

struct pe *pe_link_source(const struct pe *pe, uint32_t link) { return neighbour(pe, link, -1); }
struct pe *pe_link_destination(const struct pe *pe, uint32_t link) { return neighbour(pe, link, 1); }

static void announce(const struct pe *pe, struct pe *target) {
  atomic_fetch_add(&target->links.arrivals, 1);
  pe->environment.wake_peer(pe->environment.context, target);
}

/* ---- Blocks and credits ---- */

static bool has_room(const struct reduction_outlet *outlet) { return outlet->sent < outlet->admitted + LINK_BLOCKS; }

bool pe_links_ready(const struct pe *pe, uint32_t awaits) {
  for (uint32_t link = 0; link < LINKS; link++) {
    const struct reduction_inlet *const inlet = &pe->links.inlets[link];
    if ((awaits & AWAITS_BLOCK(link)) != 0 && inlet->admitted == inlet->taken) return false;
    if ((awaits & AWAITS_ROOM(link)) != 0 && !has_room(&pe->links.outlets[link])) return false;
  }
  return true;
}

uint64_t pe_link_room_time(const struct pe *pe, uint32_t link) {
  const struct reduction_outlet *const outlet = &pe->links.outlets[link];
  return outlet->sent < LINK_BLOCKS ? 0 : pe->job_start + outlet->credit_times[outlet->sent % LINK_BLOCKS];
}

void pe_link_send(struct pe *pe, uint32_t link, struct reduction_block *block, uint64_t time) {
  struct pe *const target = pe_link_destination(pe, link);
  struct reduction_inlet *const inlet = &target->links.inlets[link];
  block->job = pe->links.job;
  block->time = time - pe->job_start + HOP_CYCLES;
  pthread_mutex_lock(&target->links.lock);
  if (!is_over(&target->links, block->job)) *block_at(inlet, inlet->arrived++) = *block;
  pthread_mutex_unlock(&target->links.lock);
  pe->links.outlets[link].sent++;
  announce(pe, target);
}

const struct reduction_block *pe_link_next(const struct pe *pe, uint32_t link, uint64_t *time) {
  const struct reduction_inlet *const inlet = &pe->links.inlets[link];
  const struct reduction_block *const block = block_at(inlet, inlet->taken);
  *time = pe->job_start + block->time;
  return block;
}

void pe_link_release(struct pe *pe, uint32_t link, uint64_t time) {
  struct pe *const source = pe_link_source(pe, link);
  struct pe_links *const theirs = &source->links;
  struct reduction_outlet *const outlet = &theirs->outlets[link];
  pthread_mutex_lock(&pe->links.lock);
  pe->links.inlets[link].taken++;
  pthread_mutex_unlock(&pe->links.lock);
  pthread_mutex_lock(&theirs->lock);
  /* A sender that has finished needs no credit. */
  if (theirs->job == pe->links.job) {
    outlet->credit_times[outlet->credits % LINK_BLOCKS] = time - pe->job_start + HOP_CYCLES;
    outlet->credits++;
  }
  pthread_mutex_unlock(&theirs->lock);
  announce(pe, source);
}

/* ---- Admission ---- */

/* Whether what one bit of `awaits` names has arrived, and for when. The lock is held. */
static bool has_arrived(const struct pe *pe, uint32_t number, uint64_t *time) {
  const struct pe_links *const links = &pe->links;
  if (number < LINKS) {
    const struct reduction_inlet *const inlet = &links->inlets[number];
    const struct reduction_block *const block = block_at(inlet, inlet->admitted);
    *time = block->time;
    return inlet->admitted < inlet->arrived && block->job == links->job;
  }
  const struct reduction_outlet *const outlet = &links->outlets[number - LINKS];
  *time = outlet->credit_times[outlet->admitted % LINK_BLOCKS];
  return outlet->admitted < outlet->credits;
}

struct arrival {
  uint32_t number; /* AWAITABLE: nothing has arrived */
  uint64_t time;
  bool all; /* everything that the PE waits for has arrived */
};

/* The earliest arrival of what the PE waits for. The lock is held. */
static struct arrival first_arrival(const struct pe *pe) {
  const uint32_t awaited = command_processor_awaits(pe);
  struct arrival first = {.number = AWAITABLE, .time = UINT64_MAX, .all = (awaited & AWAITS_ANY_PE) == 0};
  for (uint32_t number = 0; number < AWAITABLE; number++) {
    uint64_t time;
    if ((awaited >> number & 1) == 0) continue;
    if (!has_arrived(pe, number, &time)) first.all = false;
    else if (time < first.time) first.number = number, first.time = time;
  }
  return first;
}

static void admit(struct pe_links *links, uint32_t number) {
  if (number < LINKS) links->inlets[number].admitted++;
  else links->outlets[number - LINKS].admitted++;
}

bool pe_links_admit(struct pe *pe) {
  struct pe_links *const links = &pe->links;
  if (links->was_admitted) {
    links->was_admitted = false;
    command_processor_resume(pe);
    return true;
  }
  links->rest_at = pe_instructions(pe);
  pthread_mutex_lock(&links->lock);
  links->seen = atomic_load(&links->arrivals);
  const struct arrival first = first_arrival(pe);
  const bool admits = first.number != AWAITABLE && first.all;
  if (admits) admit(links, first.number);
  pthread_mutex_unlock(&links->lock);
  if (admits) command_processor_resume(pe);
  return admits;
}

void pe_links_admit_while_spinning(struct pe *pe) {
  struct pe_links *const links = &pe->links;
  if (pe_instructions(pe) - links->rest_at < SPIN_INSTRUCTIONS) return;
  links->rest_at = pe_instructions(pe);
  pthread_mutex_lock(&links->lock);
  const struct arrival first = first_arrival(pe);
  if (first.number != AWAITABLE) admit(links, first.number);
  pthread_mutex_unlock(&links->lock);
  if (first.number != AWAITABLE) command_processor_resume(pe);
}

bool pe_links_have_news(struct pe *pe) { return atomic_load(&pe->links.arrivals) != pe->links.seen; }

/* The earliest of what may happen next in a job at rest. */
struct event {
  struct pe *pe;
  uint32_t number; /* of an arrival, or AWAITABLE + hart: an atomic operation */
  uint64_t time;
};

static void take_earlier(struct event *event, struct pe *pe, uint32_t number, uint64_t time) {
  if (time < event->time) *event = (struct event){pe, number, time};
}

uint64_t pe_links_admit_first(struct pe *const *pes, uint64_t mask) {
  struct event first = {.time = UINT64_MAX};
  for (uint64_t left = mask; left != 0; left &= left - 1) {
    struct pe *const pe = pes[__builtin_ctzll(left)];
    pthread_mutex_lock(&pe->links.lock);
    const struct arrival arrival = first_arrival(pe);
    pthread_mutex_unlock(&pe->links.lock);
    take_earlier(&first, pe, arrival.number, arrival.time);
    for (uint32_t hart = 0; hart < PE_HARTS; hart++)
      take_earlier(&first, pe, AWAITABLE + hart, atomic_time(pes, mask, pe, hart));
  }
  if (first.pe == NULL) return 0;
  if (first.number >= AWAITABLE) return atomic_perform(pes, mask, first.pe, first.number - AWAITABLE, first.time);
  pthread_mutex_lock(&first.pe->links.lock);
  admit(&first.pe->links, first.number);
  pthread_mutex_unlock(&first.pe->links.lock);
  /* The PE's own thread runs what can go on: the caller holds locks. */
  first.pe->links.was_admitted = true;
  return 1ull << first.pe->index;
}

int pe_links_describe(const struct pe *pe, uint32_t awaits, char *text, uint32_t bytes) {
  const uint32_t number = (uint32_t)__builtin_ctz(awaits);
  const struct pe *const other = number < LINKS ? pe_link_source(pe, number) : pe_link_destination(pe, number - LINKS);
  if (other == NULL) return snprintf(text, bytes, "a PE outside the job");
  return snprintf(text, bytes, number < LINKS ? "a block from PE %u" : "room for a block at PE %u", other->index);
}
