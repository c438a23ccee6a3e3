/*
 * An eventcount: lets a thread sleep until a condition over atomics may have changed, without a lock around the condition.
 *
 *   waiter:   ticket = prepare(); if (!condition) wait(ticket);
 *   notifier: make the condition true; notify();
 *
 * No wake-up is lost: notify changes the epoch after the condition, and wait sleeps only while the epoch is the ticket.
 * Both sides use sequentially consistent operations, because "store the epoch, look for sleepers" and "announce a sleeper,
 * look at the epoch" must not each miss the other.
 */
#ifndef MTIA_EVENT_COUNT_H
#define MTIA_EVENT_COUNT_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define EVENT_COUNT_FOREVER UINT64_MAX

struct event_count {
  _Atomic uint32_t epoch;
  _Atomic uint32_t sleepers;
};

static inline uint32_t event_count_prepare(struct event_count *events) { return atomic_load(&events->epoch); }

static inline bool event_count_changed(struct event_count *events, uint32_t ticket) {
  return atomic_load(&events->epoch) != ticket;
}

/* Wakes at most `threads` sleepers. Costs a system call only where there is a sleeper. */
void event_count_notify(struct event_count *events, uint32_t threads);
/* Returns when the epoch is not the ticket any more, after timeout_ns, or for no reason. */
void event_count_wait(struct event_count *events, uint32_t ticket, uint64_t timeout_ns);
/* As wait, but looks for spin_ns first: a thread that is about to be needed again answers without a system call. */
void event_count_spin_then_wait(struct event_count *events, uint32_t ticket, uint64_t spin_ns, uint64_t timeout_ns);

#endif
