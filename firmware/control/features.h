/* What a build of the control firmware leaves out; test bundles are built with -D options. */
#ifndef MTIA_CONTROL_FEATURES_H
#define MTIA_CONTROL_FEATURES_H

#ifndef MTIA_FEATURE_GRAPH_LAUNCH
#define MTIA_FEATURE_GRAPH_LAUNCH 1
#endif

#endif
