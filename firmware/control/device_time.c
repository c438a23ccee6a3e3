#include "device_time.h"

void device_time_begin(struct device_time *time) {
  time->at_barrier = 0;
  time->span_count = 0;
}

uint64_t device_time_cycles(const struct device_time *time) {
  uint64_t longest = 0;
  for (uint32_t i = 0; i < time->span_count; i++) {
    if (time->spans[i].cycles > longest) longest = time->spans[i].cycles;
  }
  return time->at_barrier + longest;
}

void device_time_barrier(struct device_time *time) {
  time->at_barrier = device_time_cycles(time);
  time->span_count = 0;
}

/* The spans have no PE in common, so there is room for one of every PE. */
static void append(struct device_time *time, uint64_t pes, uint64_t cycles) {
  if (pes != 0) time->spans[time->span_count++] = (struct span){pes, cycles};
}

void device_time_add(struct device_time *time, uint64_t pes, uint64_t cycles) {
  const uint32_t count = time->span_count;
  for (uint32_t i = 0; i < count && pes != 0; i++) {
    struct span *span = &time->spans[i];
    const uint64_t both = span->pes & pes;
    if (both == 0) continue;
    append(time, span->pes & ~both, span->cycles);
    *span = (struct span){both, span->cycles + cycles};
    pes &= ~both;
  }
  append(time, pes, cycles);
}
