/* Memory accesses that the loop does not finish itself: other regions, registers of devices, faults; and atomics. */
#include "hart_internal.h"
#include "hart_host_float.h"
#include <string.h>

static const struct hart_region *region_of(const struct hart *hart, uint64_t address, uint32_t width) {
  for (uint32_t i = 0; i < HART_REGIONS; i++) {
    const struct hart_region *region = &hart->regions[i];
    uint64_t offset = address - region->base;
    if (offset < region->bytes && region->bytes - offset >= width) return region;
  }
  return NULL;
}

/* The loop tests offset < limit: an access of 8 bytes fits below it, and limit 0 is no region at all. */
static void map(struct fast_region *fast, const struct hart_region *region) {
  bool usable = region->readable && region->writable && region->bytes >= 8;
  fast->base = region->base;
  fast->limit = usable ? region->bytes - 7 : 0;
  fast->memory = region->memory;
}

void hart_map_regions(struct hart *hart) {
  struct decoder *d = hart_decoder(hart);
  map(&d->first, &hart->regions[0]);
  map(&d->second, &hart->regions[1]);
}

static void remember(struct hart *hart, const struct hart_region *region) {
  struct decoder *d = hart_decoder(hart);
  if (region != &hart->regions[0] && region->readable && region->writable && region->bytes >= 8) map(&d->second, region);
}

/* What is outside sees a settled hart and keeps its floating point flags to itself. Interrupt lines are looked at soon. */
static void leave(struct hart *hart) {
  hart_settle(hart);
  hart_host_flags_collect(hart);
  hart_decoder(hart)->limit = 0;
}

static void come_back(void) { hart_host_flags_drop(); }

struct hart_value hart_load_slow(struct hart *hart, uint64_t address, uint32_t width) {
  struct hart_value result = {0, 1};
  const struct hart_region *region = region_of(hart, address, width);
  if (region != NULL) {
    if (!region->readable) return hart_fail(hart, HART_LOAD_FAULT, address), result;
    memcpy(&result.value, region->memory + (address - region->base), width);
    remember(hart, region);
    return result.failed = 0, result;
  }
  leave(hart);
  enum hart_access access = hart->environment->read(hart->environment->context, hart, address, width, &result.value);
  come_back();
  if (access == HART_ACCESS_OK) return result.failed = 0, result;
  if (access == HART_ACCESS_HARDWARE_ERROR) return hart_fail(hart, HART_HARDWARE_ERROR, address), result;
  return hart_fail(hart, access == HART_ACCESS_MISALIGNED ? HART_LOAD_MISALIGNED : HART_LOAD_FAULT, address), result;
}

bool hart_store_slow(struct hart *hart, uint64_t address, uint32_t width, uint64_t value) {
  const struct hart_region *region = region_of(hart, address, width);
  if (region != NULL) {
    if (!region->writable) return hart_fail(hart, HART_STORE_FAULT, address);
    memcpy(region->memory + (address - region->base), &value, width);
    remember(hart, region);
    return true;
  }
  leave(hart);
  enum hart_access access = hart->environment->write(hart->environment->context, hart, address, width, value);
  come_back();
  if (access == HART_ACCESS_OK) return true;
  return hart_fail(hart, access == HART_ACCESS_MISALIGNED ? HART_STORE_MISALIGNED : HART_STORE_FAULT, address);
}

enum hart_custom hart_custom_instruction(struct hart *hart, uint32_t word, uint64_t *result) {
  uint64_t cause = HART_ILLEGAL_INSTRUCTION;
  leave(hart);
  enum hart_custom outcome = hart->environment->custom(hart->environment->context, hart, word, hart->x[word >> 15 & 31],
                                                       hart->x[word >> 20 & 31], result, &cause);
  come_back();
  if (outcome == HART_CUSTOM_TRAP) hart_fail(hart, cause, *result);
  return outcome;
}

enum { AMO_ADD = 0, AMO_SWAP = 1, LOAD_RESERVED = 2, STORE_CONDITIONAL = 3, AMO_XOR = 4, AMO_OR = 8, AMO_AND = 12,
       AMO_MIN = 16, AMO_MAX = 20, AMO_MINU = 24, AMO_MAXU = 28 };

#define EXCHANGE_UNLESS(type, keep)                                                                   \
  do {                                                                                                \
    type old = __atomic_load_n(at, __ATOMIC_SEQ_CST);                                                 \
    while (!(keep) && !__atomic_compare_exchange_n(at, &old, operand, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {} \
    return old;                                                                                       \
  } while (0)

#define DEFINE_AMO(name, type, signed_type)                                                           \
  static type name(type *at, uint32_t funct5, type operand) {                                         \
    switch (funct5) {                                                                                 \
      case AMO_ADD: return __atomic_fetch_add(at, operand, __ATOMIC_SEQ_CST);                         \
      case AMO_SWAP: return __atomic_exchange_n(at, operand, __ATOMIC_SEQ_CST);                       \
      case AMO_XOR: return __atomic_fetch_xor(at, operand, __ATOMIC_SEQ_CST);                         \
      case AMO_OR: return __atomic_fetch_or(at, operand, __ATOMIC_SEQ_CST);                           \
      case AMO_AND: return __atomic_fetch_and(at, operand, __ATOMIC_SEQ_CST);                         \
      case AMO_MIN: EXCHANGE_UNLESS(type, (signed_type)old <= (signed_type)operand);                  \
      case AMO_MAX: EXCHANGE_UNLESS(type, (signed_type)old >= (signed_type)operand);                  \
      case AMO_MINU: EXCHANGE_UNLESS(type, old <= operand);                                           \
      default: EXCHANGE_UNLESS(type, old >= operand);                                                 \
    }                                                                                                 \
  }
DEFINE_AMO(amo_word, uint32_t, int32_t)
DEFINE_AMO(amo_doubleword, uint64_t, int64_t)

static void set_result(struct hart *hart, uint32_t word, uint64_t value) {
  uint32_t rd = word >> 7 & 31;
  if (rd != 0) hart->x[rd] = value;
}

static void load_reserved(struct hart *hart, uint32_t word, uint64_t address, void *at, bool wide) {
  uint64_t value = wide ? __atomic_load_n((uint64_t *)at, __ATOMIC_SEQ_CST)
                        : HART_SIGN_32(__atomic_load_n((uint32_t *)at, __ATOMIC_SEQ_CST));
  hart->reservation = address | wide;
  hart_decoder(hart)->reserved_value = value;
  set_result(hart, word, value);
}

/*
 * Succeeds where LR of the same address and width came before and memory still holds what it loaded. Stores to other
 * addresses never make it fail; a store that brings the same value back goes unnoticed (docs/numerics.md says what follows).
 */
static void store_conditional(struct hart *hart, uint32_t word, uint64_t address, void *at, bool wide) {
  uint64_t value = hart->x[word >> 20 & 31], wide_expected = hart_decoder(hart)->reserved_value;
  uint32_t expected = (uint32_t)wide_expected;
  bool done = hart->reservation == (address | wide);
  if (done && wide) {
    done = __atomic_compare_exchange_n((uint64_t *)at, &wide_expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
  } else if (done) {
    done = __atomic_compare_exchange_n((uint32_t *)at, &expected, (uint32_t)value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
  }
  hart->reservation = ~0ull;
  set_result(hart, word, !done);
}

/* NULL: the cause of the trap is noted. */
static uint8_t *atomic_memory(struct hart *hart, uint64_t address, uint32_t width, bool writes) {
  const struct hart_region *region = region_of(hart, address, width);
  const uint64_t fault = writes ? HART_STORE_FAULT : HART_LOAD_FAULT;
  uint8_t *at = NULL;
  if (region != NULL) {
    if (region->readable && (!writes || region->writable)) return region->memory + (address - region->base);
    return hart_fail(hart, fault, address), NULL;
  }
  leave(hart);
  enum hart_access access = hart->environment->atomic(hart->environment->context, hart, address, width, writes, &at);
  come_back();
  if (access == HART_ACCESS_OK) return at;
  return hart_fail(hart, access == HART_ACCESS_HARDWARE_ERROR ? HART_HARDWARE_ERROR : fault, address), NULL;
}

bool hart_atomic(struct hart *hart, uint32_t word) {
  bool wide = (word >> 12 & 7) == 3;
  uint32_t funct5 = word >> 27, width = wide ? 8 : 4;
  uint64_t address = hart->x[word >> 15 & 31], operand = hart->x[word >> 20 & 31];
  bool load = funct5 == LOAD_RESERVED;
  if (address & (width - 1)) return hart_fail(hart, load ? HART_LOAD_MISALIGNED : HART_STORE_MISALIGNED, address);
  void *at = atomic_memory(hart, address, width, !load);
  if (at == NULL) return false;
  if (load) load_reserved(hart, word, address, at, wide);
  else if (funct5 == STORE_CONDITIONAL) store_conditional(hart, word, address, at, wide);
  else set_result(hart, word, wide ? amo_doubleword(at, funct5, operand) : HART_SIGN_32(amo_word(at, funct5, (uint32_t)operand)));
  return true;
}
