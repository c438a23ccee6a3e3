/* Timeline semaphores: 64-bit counters that are only ever raised. Every context has its own. */
#ifndef MTIA_CONTROL_SEMAPHORES_H
#define MTIA_CONTROL_SEMAPHORES_H
#include "control.h"

uint32_t semaphore_wait(struct control *control, struct queue *queue);
uint32_t semaphore_signal(struct control *control, struct queue *queue);
void semaphore_stop(struct control *control, struct queue *queue);
/* The context is gone; the next of its number begins at zero. */
void semaphores_clear(struct control *control, uint32_t context);

#endif
