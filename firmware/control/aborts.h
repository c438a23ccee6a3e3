/* ABORT: ends commands of another queue, and only those: the queue goes on. */
#ifndef MTIA_CONTROL_ABORTS_H
#define MTIA_CONTROL_ABORTS_H
#include "control.h"

uint32_t abort_start(struct control *control, struct queue *queue);
/* Whether the entry at this position was aborted before its turn; forgets it. */
bool abort_take(struct queue *queue, uint32_t position);

#endif
