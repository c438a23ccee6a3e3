/*
 * Device time: nanoseconds since power-on. While the debugger holds the chip it stands still, so that no deadline runs, but for what a
 * hart takes that is stepped.
 */
#ifndef MTIA_CHIP_CLOCK_H
#define MTIA_CHIP_CLOCK_H
#include <stdatomic.h>
#include <stdint.h>

struct chip_clock {
  _Atomic uint64_t offset; /* host time at device time 0 */
  _Atomic uint64_t frozen; /* device time while it stands still, otherwise CHIP_CLOCK_RUNS */
};
#define CHIP_CLOCK_RUNS UINT64_MAX

/* CLOCK_MONOTONIC. */
uint64_t host_time_ns(void);

void chip_clock_start(struct chip_clock *clock);
uint64_t chip_clock_now(struct chip_clock *clock);
/* The callers of freeze and resume take turns (chip.c). */
void chip_clock_freeze(struct chip_clock *clock);
void chip_clock_resume(struct chip_clock *clock);
/* The clock stands still. */
void chip_clock_advance(struct chip_clock *clock, uint64_t ns);

#endif
