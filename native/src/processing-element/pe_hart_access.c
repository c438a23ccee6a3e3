/*
 * What a hart of a PE sees beside its local memory: registers, and SRAM and LPDDR over the network, where every access is
 * checked against the context of the job. Loads wait for the memory unless the data cache has their line; stores are posted;
 * atomics are done at the memory. The cache keeps time only: data always comes from the memory, so a kernel that forgets to
 * flush does not fail here.
 */
#include <string.h>
#include "pe_internal.h"

/* I23 gives each core a data cache without coherence; its size is not published. Lines of 64 bytes: assumed. */
#define CACHE_LINE_BYTES 64u

static bool is_register(uint64_t address) { return address - MTIA_PE_REGISTERS_BASE < MTIA_PE_REGISTERS_SIZE; }
static bool is_misaligned(uint64_t address, uint32_t width) { return (address & (width - 1)) != 0; }

static void wait_for_line(struct pe *pe, struct hart *hart, uint64_t line) {
  const uint64_t tag = line | (uint64_t)pe->cache_epoch << 48;
  uint64_t *const cached = &pe->cached_lines[hart - pe->hart][line % PE_CACHE_LINES];
  if (*cached != tag) hart->cycles += memory_latency(pe, line * CACHE_LINE_BYTES);
  *cached = tag;
}

static void wait_for_load(struct pe *pe, struct hart *hart, uint64_t address, uint32_t width) {
  const uint64_t first = address / CACHE_LINE_BYTES, last = (address + width - 1) / CACHE_LINE_BYTES;
  wait_for_line(pe, hart, first);
  if (last != first) wait_for_line(pe, hart, last);
}

void pe_drop_cached_lines(struct pe *pe) {
  if (++pe->cache_epoch == 0) memset(pe->cached_lines, 0, sizeof pe->cached_lines);
}

/* An aligned access is one access for every other hart: never half of it. */
static uint64_t load(const uint8_t *at, uint32_t width) {
  uint64_t value = 0;
  if (is_misaligned((uintptr_t)at, width)) return memcpy(&value, at, width), value;
  switch (width) {
    case 1: return __atomic_load_n(at, __ATOMIC_RELAXED);
    case 2: return __atomic_load_n((const uint16_t *)(const void *)at, __ATOMIC_RELAXED);
    case 4: return __atomic_load_n((const uint32_t *)(const void *)at, __ATOMIC_RELAXED);
    default: return __atomic_load_n((const uint64_t *)(const void *)at, __ATOMIC_RELAXED);
  }
}

static void store(uint8_t *at, uint32_t width, uint64_t value) {
  if (is_misaligned((uintptr_t)at, width)) {
    memcpy(at, &value, width);
    return;
  }
  switch (width) {
    case 1: __atomic_store_n(at, (uint8_t)value, __ATOMIC_RELAXED); return;
    case 2: __atomic_store_n((uint16_t *)(void *)at, (uint16_t)value, __ATOMIC_RELAXED); return;
    case 4: __atomic_store_n((uint32_t *)(void *)at, (uint32_t)value, __ATOMIC_RELAXED); return;
    default: __atomic_store_n((uint64_t *)(void *)at, value, __ATOMIC_RELAXED); return;
  }
}

enum hart_access pe_hart_read(void *context, struct hart *hart, uint64_t address, uint32_t width, uint64_t *value) {
  struct pe *const pe = context;
  if (is_register(address)) {
    if (is_misaligned(address, width)) return HART_ACCESS_MISALIGNED;
    return pe_register_read(pe, hart, address - MTIA_PE_REGISTERS_BASE, width, value);
  }
  const uint8_t *const at = memory_at(pe->environment.memory, pe->context, address, width, MEMORY_READ);
  if (at == NULL) return HART_ACCESS_FAULT;
  uint64_t bad;
  if (!memory_is_sound(pe->environment.memory, address, width, MEMORY_READ, &bad)) return HART_ACCESS_HARDWARE_ERROR;
  *value = load(at, width);
  wait_for_load(pe, hart, address, width);
  return HART_ACCESS_OK;
}

enum hart_access pe_hart_write(void *context, struct hart *hart, uint64_t address, uint32_t width, uint64_t value) {
  struct pe *const pe = context;
  if (is_register(address)) {
    if (is_misaligned(address, width)) return HART_ACCESS_MISALIGNED;
    return pe_register_write(pe, hart, address - MTIA_PE_REGISTERS_BASE, width, value);
  }
  uint8_t *const at = memory_at(pe->environment.memory, pe->context, address, width, MEMORY_WRITE);
  if (at == NULL) return HART_ACCESS_FAULT;
  uint64_t bad;
  memory_is_sound(pe->environment.memory, address, width, MEMORY_WRITE, &bad);
  store(at, width, value);
  return HART_ACCESS_OK;
}

enum hart_access pe_hart_atomic(void *context, struct hart *hart, uint64_t address, uint32_t width, bool writes, uint8_t **memory) {
  struct pe *const pe = context;
  const enum memory_right right = writes ? MEMORY_WRITE : MEMORY_READ;
  uint64_t bad;
  *memory = memory_at(pe->environment.memory, pe->context, address, width, right);
  if (*memory == NULL) return HART_ACCESS_FAULT;
  if (!memory_is_sound(pe->environment.memory, address, width, MEMORY_READ, &bad)) return HART_ACCESS_HARDWARE_ERROR;
  hart->cycles += memory_latency(pe, address);
  return HART_ACCESS_OK;
}

/* Code is what the firmware loaded; a context's own pages are data. */
const uint8_t *pe_hart_code_page(void *context, struct hart *hart, uint64_t address) {
  struct pe *const pe = context;
  (void)hart;
  if (address - MTIA_SRAM_BASE >= MTIA_RESERVED_SRAM_FIRMWARE_BYTES) return NULL;
  return memory_at(pe->environment.memory, 0, address & ~4095ull, 4096, MEMORY_READ);
}
