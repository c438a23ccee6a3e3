/* Whether this process may use AMX. */
#ifndef MTIA_MATMUL_AMX_H
#define MTIA_MATMUL_AMX_H
#include <stdbool.h>

#if defined(__x86_64__)
/* The processor has AMX_TILE, AMX_INT8 and AMX_BF16, and Linux lets this process use the tile registers (it asks). */
bool matmul_amx_permitted(void);
#endif

#endif
