/* MSI-X: each vector is an eventfd. */
#ifndef MTIA_MSIX_H
#define MTIA_MSIX_H
#include <stdatomic.h>
#include <stdint.h>
#include "generated/mtia_hw.h"

struct msix {
  uint32_t vectors; /* that the card has */
  int fds[MTIA_LIMIT_MSIX_VECTORS];
  _Atomic uint32_t pending; /* raised, not yet delivered */
  _Atomic uint64_t sent;    /* counter */
  _Atomic uint32_t masked;  /* not zero: the function mask of the capability is set */
};

/* 0 or CHIP_SYSTEM. */
int32_t msix_create(struct msix *msix, uint32_t vectors);
void msix_destroy(struct msix *msix);
/* 0, or CHIP_BAD_ARGUMENT where there is no such vector. */
int32_t msix_fd(const struct msix *msix, uint32_t vector, int32_t *fd);
/* Any thread. Delivered by the next msix_deliver, so that a burst of completions costs one system call. */
void msix_raise(struct msix *msix, uint32_t vector);
void msix_deliver(struct msix *msix);

#endif
