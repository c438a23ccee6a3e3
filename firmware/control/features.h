/* What a build of the control firmware leaves out; test bundles are built with -D options. */
#ifndef MTIA_CONTROL_FEATURES_H
#define MTIA_CONTROL_FEATURES_H

#ifndef MTIA_FEATURE_GRAPH_LAUNCH
#define MTIA_FEATURE_GRAPH_LAUNCH 1
#endif

/* The time without a kick after which the chip stops the control core: longer than the hash of the largest kernel takes. */
#ifndef MTIA_WATCHDOG_NS
#define MTIA_WATCHDOG_NS 5000000000ull
#endif

/* For tests: NOP reads a structure in host memory, as no control firmware should (I25 section 5.5). */
#ifndef MTIA_TEST_READS_HOST_MEMORY
#define MTIA_TEST_READS_HOST_MEMORY 0
#endif

#endif
