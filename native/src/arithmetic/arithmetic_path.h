/*
 * With which instructions of the host the units compute. Every path gives the same bits (docs/numerics.md), so the choice shows
 * in nothing but speed. A path that differs from the portable one on this host is never chosen: arithmetic_check.h.
 */
#ifndef MTIA_ARITHMETIC_PATH_H
#define MTIA_ARITHMETIC_PATH_H
#include <stdbool.h>
#include <stdint.h>
#include "matmul.h"
#include "simd_engine.h"

struct arithmetic_path {
  uint32_t number; /* enum mtia_matmul_path */
  const char *name;
  bool (*host_has_it)(void); /* the instructions, and the system's leave to use them */
  const struct matmul_path *matmul;
  const struct se_path *se;
};

/* Fastest first, portable last. Two may share a number: the first that works stands for it. */
extern const struct arithmetic_path arithmetic_paths[];
extern const uint32_t arithmetic_path_count;

/* The path for a value of enum mtia_matmul_path; NULL where this host cannot run it, or not exactly. */
const struct arithmetic_path *arithmetic_path_select(uint32_t number);
/* Bit n: arithmetic_path_select(n) gives a path. */
uint32_t arithmetic_paths_here(void);

#endif
