#include "event_count.h"
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "chip_clock.h"

#define NS_PER_S 1000000000ull
#define LOOKS_PER_YIELD 16

static inline void relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

void event_count_notify(struct event_count *events, uint32_t threads) {
  atomic_fetch_add(&events->epoch, 1);
  if (atomic_load(&events->sleepers) != 0) {
    syscall(SYS_futex, &events->epoch, FUTEX_WAKE_PRIVATE, (int)threads, NULL, NULL, 0);
  }
}

void event_count_wait(struct event_count *events, uint32_t ticket, uint64_t timeout_ns) {
  struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / NS_PER_S), .tv_nsec = (long)(timeout_ns % NS_PER_S)};
  atomic_fetch_add(&events->sleepers, 1);
  if (!event_count_changed(events, ticket)) {
    const struct timespec *limit = timeout_ns == EVENT_COUNT_FOREVER ? NULL : &timeout;
    syscall(SYS_futex, &events->epoch, FUTEX_WAIT_PRIVATE, ticket, limit, NULL, 0);
  }
  atomic_fetch_sub(&events->sleepers, 1);
}

void event_count_spin_then_wait(struct event_count *events, uint32_t ticket, uint64_t spin_ns, uint64_t timeout_ns) {
  uint64_t start = host_time_ns();
  uint64_t spent = 0;
  while (spent < spin_ns && spent < timeout_ns) {
    for (int look = 0; look < LOOKS_PER_YIELD; look++) {
      if (event_count_changed(events, ticket)) return;
      relax();
    }
    /* Whoever is to make the event happen may need this processor. */
    sched_yield();
    spent = host_time_ns() - start;
  }
  if (spent >= timeout_ns) return;
  event_count_wait(events, ticket, timeout_ns == EVENT_COUNT_FOREVER ? timeout_ns : timeout_ns - spent);
}
