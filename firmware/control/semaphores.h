/* Timeline semaphores: 64-bit counters that are only ever raised, shared by all contexts. */
#ifndef MTIA_CONTROL_SEMAPHORES_H
#define MTIA_CONTROL_SEMAPHORES_H
#include "control.h"

uint32_t semaphore_wait(struct control *control, struct queue *queue);
uint32_t semaphore_signal(struct control *control, struct queue *queue);
void semaphore_stop(struct control *control, struct queue *queue);

#endif
