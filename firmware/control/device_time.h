/*
 * Device time of a launch of several jobs: jobs run side by side, so their times do not add up. A PE works on one job after
 * another, and a barrier waits for all of them; the longest such chain is the time of the launch. It depends on no order in
 * which jobs happen to end.
 */
#ifndef MTIA_CONTROL_DEVICE_TIME_H
#define MTIA_CONTROL_DEVICE_TIME_H
#include "control.h"

void device_time_begin(struct device_time *time);
/* Everything so far has ended, and what follows starts then. */
void device_time_barrier(struct device_time *time);
void device_time_add(struct device_time *time, uint64_t pes, uint64_t cycles);
/* Cycles from the first job to the end of the last. */
uint64_t device_time_cycles(const struct device_time *time);

#endif
