/* For tests of the deadlock that I25 section 5.5 reports; shipped firmware is built without it. */
#ifndef MTIA_CONTROL_HOST_STRUCTURE_H
#define MTIA_CONTROL_HOST_STRUCTURE_H
#include "control.h"

/* Reads 512 bytes of host memory at field a of the command, a word at a time, and waits for each. */
uint32_t host_structure_read(struct queue *queue);

#endif
