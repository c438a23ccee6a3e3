/* LAUNCH, and what it shares with GRAPH_LAUNCH: from a kernel id and a rectangle to a job descriptor. */
#ifndef MTIA_CONTROL_LAUNCHES_H
#define MTIA_CONTROL_LAUNCHES_H
#include "control.h"

uint32_t launch_start(struct control *control, struct queue *queue);
void launch_stop(struct control *control, struct queue *queue);
/* A job of the queue's launch has started after waiting, or ended: goes on with the next, or completes the command. */
void launch_continue(struct control *control, struct queue *queue);
/* Fills in everything of launch.descriptor but the arguments, and launch.pes. An error code. */
uint32_t launch_prepare(struct control *control, struct queue *queue, uint32_t kernel, struct rectangle rectangle);

#endif
