/* From a handle to the chip behind it. */
#ifndef MTIA_DEVICE_H
#define MTIA_DEVICE_H
#include "chip.h"

/* The chip stays alive until device_leave. 0, CHIP_BAD_ARGUMENT or CHIP_CLOSED. */
int32_t device_enter(struct mtia_device *device, struct chip **chip);
/* Gives the status back, so that a call can end with it. */
int32_t device_leave(struct mtia_device *device, int32_t status);

#endif
