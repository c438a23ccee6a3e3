#include "msix.h"
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

int32_t msix_create(struct msix *msix, uint32_t vectors) {
  msix->vectors = vectors;
  for (uint32_t vector = 0; vector < MTIA_LIMIT_MSIX_VECTORS; vector++) msix->fds[vector] = -1;
  for (uint32_t vector = 0; vector < vectors; vector++) {
    msix->fds[vector] = eventfd(0, EFD_CLOEXEC);
    if (msix->fds[vector] < 0) {
      msix_destroy(msix);
      return MTIA_ERROR_CHIP_SYSTEM;
    }
  }
  return MTIA_ERROR_OK;
}

void msix_destroy(struct msix *msix) {
  for (uint32_t vector = 0; vector < MTIA_LIMIT_MSIX_VECTORS; vector++) {
    if (msix->fds[vector] >= 0) close(msix->fds[vector]);
    msix->fds[vector] = -1;
  }
}

int32_t msix_fd(const struct msix *msix, uint32_t vector, int32_t *fd) {
  if (vector >= msix->vectors) return MTIA_ERROR_CHIP_BAD_ARGUMENT;
  *fd = msix->fds[vector];
  return MTIA_ERROR_OK;
}

void msix_raise(struct msix *msix, uint32_t vector) { atomic_fetch_or(&msix->pending, 1u << vector); }

void msix_deliver(struct msix *msix) {
  if (atomic_load_explicit(&msix->pending, memory_order_relaxed) == 0 || atomic_load(&msix->masked) != 0) return;
  uint32_t pending = atomic_exchange(&msix->pending, 0);
  while (pending != 0) {
    uint32_t vector = (uint32_t)__builtin_ctz(pending);
    pending &= pending - 1;
    atomic_fetch_add_explicit(&msix->sent, 1, memory_order_relaxed);
    /* Blocks only at 2^64 - 2 unread interrupts. */
    uint64_t one = 1;
    while (write(msix->fds[vector], &one, sizeof(one)) < 0 && errno == EINTR) continue;
  }
}
