/* How fast this host multiplies at best: the bare instruction of a path, factors in registers, nothing loaded or stored. */
#ifndef MTIA_MATMUL_PEAK_H
#define MTIA_MATMUL_PEAK_H
#include <stdint.h>
#include "matmul.h"

#define MATMUL_PEAK_MOST_THREADS 256u

/*
 * Multiplications a second of DATA_TYPE `type` on `threads` threads together, measured for about 50 ms of each thread's time; 0 for the portable path,
 * which has no such instruction. False: a thread could not be started.
 */
int matmul_peak(const struct matmul_path *path, uint32_t type, uint32_t threads, uint64_t *multiplies_a_second);

#endif
