/* Deadlines of commands, and the regular look at jobs that may be stuck. */
#ifndef MTIA_CONTROL_TIMERS_H
#define MTIA_CONTROL_TIMERS_H
#include "control.h"

void timers_initialise(struct control *control);
/* The command's deadline_us counts from now. */
void timer_set_deadline(struct control *control, struct queue *queue);
/* The same from a time, in MTIME. */
void timer_set_deadline_from(struct control *control, struct queue *queue, uint64_t time);
/* A job has been started: jobs are looked at until none is left. */
void timer_watch_jobs(struct control *control);
/* The timer interrupt is pending. */
void timers_expired(struct control *control);

#endif
