/* GRAPH_LAUNCH: walks the jobs of a compiled graph in device memory. */
#ifndef MTIA_CONTROL_GRAPHS_H
#define MTIA_CONTROL_GRAPHS_H
#include "control.h"

uint32_t graph_start(struct control *control, struct queue *queue);
/* Submits jobs until one has to wait, for its PEs or at a barrier. An error code. */
uint32_t graph_submit_jobs(struct control *control, struct queue *queue);

#endif
