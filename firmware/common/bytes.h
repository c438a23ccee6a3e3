/* memcpy, memset and memcmp: the compiler calls them by these names, and the firmware has no C library. */
#ifndef MTIA_FIRMWARE_BYTES_H
#define MTIA_FIRMWARE_BYTES_H
#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);

#endif
