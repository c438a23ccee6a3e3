/* What the end of a failed job means: one table for values that kernels return, one for traps. */
#ifndef MTIA_CONTROL_FAILURES_H
#define MTIA_CONTROL_FAILURES_H
#include "control.h"

/* Error code of the selected job slot, whose RESULT is given; writes place, cause, pc and value into the completion. */
uint32_t failure_read(struct queue *queue, uint32_t result);
/* Writes what the harts of a PE stand at into the completion: the job did not fail, it does not end. */
void failure_describe_stand(struct queue *queue, uint32_t pe);

#endif
