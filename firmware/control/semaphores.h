/*
 * Timeline semaphores: 64-bit counters that are only ever raised; every context has its own. They carry failure: what a
 * queue signals after a failure is poisoned, and who waits for it is aborted.
 */
#ifndef MTIA_CONTROL_SEMAPHORES_H
#define MTIA_CONTROL_SEMAPHORES_H
#include "control.h"

uint32_t semaphore_wait(struct control *control, struct queue *queue);
uint32_t semaphore_signal(struct control *control, struct queue *queue);
/* The failures of the queue are reported: it takes commands again, and its semaphore is sound from a value on. */
uint32_t semaphore_recover(struct control *control, struct queue *queue);
uint32_t semaphore_reset(struct control *control, struct queue *queue);
void semaphore_stop(struct control *control, struct queue *queue);
/* The context is gone; the next of its number begins at zero. */
void semaphores_clear(struct control *control, uint32_t context);

#endif
