/* Jobs at PEs: rectangles of the grid, job slots of the work queue engine, results. */
#ifndef MTIA_CONTROL_JOBS_H
#define MTIA_CONTROL_JOBS_H
#include "control.h"

void jobs_initialise(struct jobs *jobs);
/*
 * Hands the job of queue->launch.descriptor to its PEs as soon as each of them takes one more: it has none, or one and none
 * behind it. A PE starts its part when it is done with that one, whatever its neighbours do. Jobs on disjoint rectangles run
 * at once; of those that want the same PEs the one that asked first gets them. Sets launch.waiting where it has to wait. An
 * error code.
 */
uint32_t jobs_submit(struct control *control, struct queue *queue);
/* PEs may take a job again. */
void jobs_start_waiting(struct control *control);
/* Jobs have ended. */
void jobs_collect(struct control *control);
/* Looks for jobs that will never end by themselves. */
void jobs_look(struct control *control);
/* Ends every job of the queue's launch: resets the PEs that run it, and only those. */
void jobs_stop(struct control *control, struct queue *queue);
/* Writes where the queue's first running job stands into the completion. */
void jobs_describe(const struct jobs *jobs, struct queue *queue);
static inline bool jobs_are_running(const struct jobs *jobs) { return jobs->free_slots != ~0ull; }

#endif
