/* CONVERT: another type, another row length (see convert.h). */
#include "convert.h"

uint32_t kernel_main(const struct mtia_job_descriptor *job, uint32_t hart) { return convert_main(job, hart); }
