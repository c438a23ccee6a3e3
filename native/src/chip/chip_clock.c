#include "chip_clock.h"
#include <time.h>

uint64_t host_time_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

void chip_clock_start(struct chip_clock *clock) {
  atomic_store(&clock->offset, host_time_ns());
  atomic_store(&clock->frozen, CHIP_CLOCK_RUNS);
}

uint64_t chip_clock_now(struct chip_clock *clock) {
  for (;;) {
    uint64_t frozen = atomic_load_explicit(&clock->frozen, memory_order_acquire);
    if (frozen != CHIP_CLOCK_RUNS) return frozen;
    uint64_t offset = atomic_load_explicit(&clock->offset, memory_order_acquire);
    uint64_t now = host_time_ns();
    /* A halt and a resume in between moved the offset: this time would lie in the future of the next one. */
    if (atomic_load_explicit(&clock->offset, memory_order_acquire) == offset) return now - offset;
  }
}

void chip_clock_freeze(struct chip_clock *clock) {
  atomic_store(&clock->frozen, host_time_ns() - atomic_load(&clock->offset));
}

void chip_clock_resume(struct chip_clock *clock) {
  /* The offset first: whoever sees the clock run must see the offset that belongs to it. */
  atomic_store(&clock->offset, host_time_ns() - atomic_load(&clock->frozen));
  atomic_store(&clock->frozen, CHIP_CLOCK_RUNS);
}

void chip_clock_advance(struct chip_clock *clock, uint64_t ns) { atomic_fetch_add(&clock->frozen, ns); }
