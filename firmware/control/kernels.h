/* The kernels of the bundle, loaded into SRAM when they are first needed. */
#ifndef MTIA_CONTROL_KERNELS_H
#define MTIA_CONTROL_KERNELS_H
#include "control.h"

void kernels_initialise(struct control *control);
/* Address of the kernel's code, ready to run on every PE. An error code. */
uint32_t kernel_load(struct control *control, uint32_t id, uint64_t *entry);
/* Loads the PE monitor and starts it on every PE. An error code. */
uint32_t monitor_start(struct control *control);

#endif
