/*
 * What the firmware reads in LPDDR while it serves a command. A word that the error-correcting code has given up there must fail
 * the command, not the firmware.
 */
#ifndef MTIA_CONTROL_CONTEXT_MEMORY_H
#define MTIA_CONTROL_CONTEXT_MEMORY_H
#include "control.h"

/* guarded_loads.S. Addresses are multiples of 8; 0, or the address of the first word that is lost. */
uint64_t guarded_read(void *to, uint64_t address, uint64_t words);
uint64_t guarded_check(uint64_t address, uint64_t words);

/*
 * Copies bytes (a multiple of 8, not 0) of the context of the queue to an aligned place, where the context may read them. An
 * error code; the completion's value is the address.
 */
uint32_t context_memory_read(const struct control *control, struct queue *queue, void *to, uint64_t address, uint64_t bytes);

#endif
