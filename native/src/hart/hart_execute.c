/*
 * The loop that executes decoded code. Every handler ends in its own indirect jump. What the loop keeps in locals: x (the
 * integer registers), at (the operation), accumulator, count (instructions, charged up to the end of the run) and the first
 * memory region. Everything else is out of line, after SAVE.
 */
#include "hart_internal.h"
#include "hart_arithmetic.h"
#include "hart_host_float.h"
#include <string.h>

#define LIKELY(c) __builtin_expect(!!(c), 1)
#define UNLIKELY(c) __builtin_expect(!!(c), 0)

#define DISPATCH() goto *at->handler
#define NEXT() do { at++; DISPATCH(); } while (0)
#define SAVE() (d->at = at, d->count = count)
/* After a transfer: what the target expects, and a look up where the slice is over. */
#define LAND() do { accumulator = x[at->expects]; if (UNLIKELY(count > d->limit)) goto look_up; DISPATCH(); } while (0)
#define LAND_NEAR() do { count += (uint64_t)(int64_t)at->charge; at = (const void *)((const char *)at + at->distance); LAND(); } while (0)
#define SET_RD(v) do { accumulator = (v); x[at->rd] = accumulator; } while (0)

/* Leaves in host where the bytes of an access are, or runs miss, where they are in none of the two fast regions. */
#define HOST_ADDRESS(host, address, miss)                                                                   \
  uint8_t *host;                                                                                            \
  if (LIKELY((address) - first_base < first_limit)) {                                                       \
    host = first_memory + ((address) - first_base);                                                         \
  } else if (LIKELY((address) - d->second.base < d->second.limit)) {                                        \
    host = d->second.memory + ((address) - d->second.base);                                                 \
  } else {                                                                                                  \
    miss;                                                                                                   \
  }

#define LOAD(type, base)                                                                                    \
  uint64_t address = (base) + (uint64_t)(int64_t)at->immediate;                                             \
  type v;                                                                                                   \
  HOST_ADDRESS(host, address, {                                                                             \
    SAVE();                                                                                                 \
    struct hart_value slow = hart_load_slow(hart, address, sizeof v);                                       \
    if (UNLIKELY(slow.failed)) goto trap;                                                                   \
    d->value = slow.value;                                                                                  \
    host = (uint8_t *)&d->value; /* little-endian: the low bytes come first */                              \
  })                                                                                                        \
  memcpy(&v, host, sizeof v)

#define STORE(type, base, data)                                                                             \
  uint64_t address = (base) + (uint64_t)(int64_t)at->immediate;                                             \
  type v = (type)(data);                                                                                    \
  HOST_ADDRESS(host, address, {                                                                             \
    SAVE();                                                                                                 \
    if (UNLIKELY(!hart_store_slow(hart, address, sizeof v, v))) goto trap;                                  \
    host = (uint8_t *)&d->value;                                                                            \
  })                                                                                                        \
  memcpy(host, &v, sizeof v)

/* What each operation computes, by name: value_ADD(a, b), condition_BEQ(a, b), loaded_LW(v). */
#define DEFINE_REGISTER(name, expression) static inline uint64_t value_##name(uint64_t a, uint64_t b) { return expression; }
#define DEFINE_IMMEDIATE(name, expression) static inline uint64_t value_##name(uint64_t a, uint64_t imm) { return expression; }
#define DEFINE_BRANCH(name, expression) static inline bool condition_##name(uint64_t a, uint64_t b) { return expression; }
#define DEFINE_LOAD(name, type, expression) \
  typedef type type_##name;                 \
  static inline uint64_t loaded_##name(type v) { return expression; }
#define DEFINE_STORE(name, type) typedef type type_##name;
HART_REGISTER_OPERATIONS(DEFINE_REGISTER)
HART_IMMEDIATE_OPERATIONS(DEFINE_IMMEDIATE)
HART_BRANCHES(DEFINE_BRANCH)
HART_LOADS(DEFINE_LOAD)
HART_FLOAT_LOADS(DEFINE_LOAD)
HART_STORES(DEFINE_STORE)
HART_FLOAT_STORES(DEFINE_STORE)

/* Operations without their dispatch, by kind (HART_FUSED_PAIRS). */
#define IMMEDIATE() ((uint64_t)(int64_t)at->immediate)
#define DO_R(name) SET_RD(value_##name(x[at->rs1], x[at->rs2]))
#define DO_R_A(name) SET_RD(value_##name(accumulator, x[at->rs2]))
#define DO_R_B(name) SET_RD(value_##name(x[at->rs1], accumulator))
#define DO_I(name) SET_RD(value_##name(x[at->rs1], IMMEDIATE()))
#define DO_I_A(name) SET_RD(value_##name(accumulator, IMMEDIATE()))
#define DO_L(name) do { LOAD(type_##name, x[at->rs1]); SET_RD(loaded_##name(v)); } while (0)
#define DO_L_A(name) do { LOAD(type_##name, accumulator); SET_RD(loaded_##name(v)); } while (0)
#define DO_S(name) do { STORE(type_##name, x[at->rs1], x[at->rs2]); } while (0)
#define DO_S_A(name) do { STORE(type_##name, accumulator, x[at->rs2]); } while (0)
#define DO_S_B(name) do { STORE(type_##name, x[at->rs1], accumulator); } while (0)
#define DO_B(name) do { if (condition_##name(x[at->rs1], x[at->rs2])) LAND_NEAR(); } while (0)
#define DO_B_A(name) do { if (condition_##name(accumulator, x[at->rs2])) LAND_NEAR(); } while (0)

#define REGISTER_HANDLERS(name, expression)                                           \
  name: DO_R(name); NEXT();                                                           \
  name##_A: DO_R_A(name); NEXT();                                                     \
  name##_B: DO_R_B(name); NEXT();
#define IMMEDIATE_HANDLERS(name, expression)                                          \
  name: DO_I(name); NEXT();                                                           \
  name##_A: DO_I_A(name); NEXT();
#define LOAD_HANDLERS(name, type, result)                                             \
  name: DO_L(name); NEXT();                                                           \
  name##_A: DO_L_A(name); NEXT();
#define STORE_HANDLERS(name, type)                                                    \
  name: DO_S(name); NEXT();                                                           \
  name##_A: DO_S_A(name); NEXT();                                                     \
  name##_B: DO_S_B(name); NEXT();
#define BRANCH_HANDLERS(name, condition)                                              \
  name: DO_B(name); NEXT();                                                           \
  name##_A: DO_B_A(name); NEXT();                                                     \
  name##_FAR: if (condition_##name(x[at->rs1], x[at->rs2])) goto branch_far; NEXT();
#define FUSED_HANDLER(kind1, name1, kind2, name2) \
  kind1##_##name1##__##kind2##_##name2: DO_##kind1(name1); at++; DO_##kind2(name2); NEXT();

#define FLOAT_OFF() UNLIKELY((hart->mstatus & HART_MSTATUS_FS) == 0)
#define FLOAT_LOAD_HANDLERS(name, type, result)                                       \
  name: { if (FLOAT_OFF()) goto illegal; LOAD(type, x[at->rs1]); hart->f[at->rd] = loaded_##name(v); NEXT(); } \
  name##_A: { if (FLOAT_OFF()) goto illegal; LOAD(type, accumulator); hart->f[at->rd] = loaded_##name(v); NEXT(); }
#define FLOAT_STORE_HANDLERS(name, type)                                              \
  name: { if (FLOAT_OFF()) goto illegal; STORE(type, x[at->rs1], hart->f[at->rs2]); NEXT(); } \
  name##_A: { if (FLOAT_OFF()) goto illegal; STORE(type, accumulator, hart->f[at->rs2]); NEXT(); }

#if HART_HOST_FLOAT
static inline float single_of(uint64_t bits) {
  uint32_t value = bits >> 32 == 0xffffffff ? (uint32_t)bits : 0x7fc00000;
  float result;
  memcpy(&result, &value, sizeof result);
  return result;
}
static inline double double_of(uint64_t bits) {
  double result;
  memcpy(&result, &bits, sizeof result);
  return result;
}
static inline uint64_t bits_of_single(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return value != value ? 0xffffffff7fc00000u : 0xffffffff00000000u | bits;
}
static inline uint64_t bits_of_double(double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return value != value ? 0x7ff8000000000000u : bits;
}
typedef float c_single;
typedef double c_double;

#define FAST_FLOAT_HANDLER(name, type, expression)                                                          \
  name: {                                                                                                   \
    if (FLOAT_OFF() || UNLIKELY(hart->fcsr & (uint32_t)at->immediate)) goto FLOAT;                          \
    c_##type a = type##_of(hart->f[at->rs1]), b = type##_of(hart->f[at->rs2]);                              \
    hart->f[at->rd] = bits_of_##type(expression);                                                           \
    NEXT();                                                                                                 \
  }
/* Where a NaN comes out, the host's invalid flag is not always that of RISC-V (infinity times zero plus a quiet NaN). */
#define FAST_FUSED_HANDLER(name, type, product_sign, addend_sign)                                           \
  name: {                                                                                                   \
    if (FLOAT_OFF() || !d->host_fma || UNLIKELY(hart->fcsr & (uint32_t)at->immediate & 0xe0)) goto FLOAT;   \
    c_##type a = product_sign type##_of(hart->f[at->rs1]), b = type##_of(hart->f[at->rs2]);                 \
    c_##type c = addend_sign type##_of(hart->f[at->immediate >> 8]), r = hart_fma_##type(a, b, c);          \
    if (UNLIKELY(r != r)) goto FLOAT;                                                                       \
    hart->f[at->rd] = bits_of_##type(r);                                                                    \
    NEXT();                                                                                                 \
  }
#else
#define FAST_FLOAT_HANDLER(name, type, expression) name: goto FLOAT;
#define FAST_FUSED_HANDLER(name, type, product_sign, addend_sign) name: goto FLOAT;
#endif

#define LABEL_1(name, ...) [OP_##name] = &&name,
#define LABEL_FUSED(kind1, name1, kind2, name2) [OP_##kind1##_##name1##__##kind2##_##name2] = &&kind1##_##name1##__##kind2##_##name2,
#define LABEL_A(name, ...) [OP_##name] = &&name, [OP_##name##_A] = &&name##_A,
#define LABEL_AB(name, ...) [OP_##name] = &&name, [OP_##name##_A] = &&name##_A, [OP_##name##_B] = &&name##_B,
#define LABEL_BRANCH(name, ...) [OP_##name] = &&name, [OP_##name##_A] = &&name##_A, [OP_##name##_FAR] = &&name##_FAR,

/* Something from outside wants the hart to look up. */
static inline bool is_called(struct hart *hart) {
  return atomic_load_explicit(&hart->halt_request, memory_order_relaxed) ||
         (atomic_load_explicit(&hart->mip, memory_order_relaxed) & hart->mie) != 0;
}

/* Between two blocks: whether to stop, and interrupts. Sets the end of the next slice. */
static bool go_on(struct hart *hart) {
  struct decoder *d = hart_decoder(hart);
  if (atomic_load_explicit(&hart->halt_request, memory_order_acquire)) return d->stop = HART_HALTED, false;
  if (d->waiting) {
    if ((atomic_load_explicit(&hart->mip, memory_order_acquire) & hart->mie) == 0) return d->stop = HART_WAITING, false;
    d->waiting = false;
  }
  if (hart->instructions >= d->end) return d->stop = HART_BUDGET, false;
  hart_take_interrupt(hart);
  uint64_t slice = hart->instructions + HART_SLICE;
  d->limit = d->exact ? 0 : slice < d->end ? slice : d->end;
  return true;
}

/* A trap retires nothing, so it is taken off the budget: a hart that only traps comes back, too. */
static void take_trap(struct hart *hart) {
  struct decoder *d = hart_decoder(hart);
  hart_trap(hart, d->cause, d->value);
  if (d->end != 0) d->end--;
}

static uint64_t illegal_value(struct hart *hart) {
  uint32_t bits = hart_instruction_bits(hart, hart->pc);
  return (bits & 3) == 3 ? bits : bits & 0xffff;
}

static enum hart_stop execute(struct hart *hart) {
  static const void *const handlers[OP_COUNT] = {
    HART_REGISTER_OPERATIONS(LABEL_AB) HART_IMMEDIATE_OPERATIONS(LABEL_A) HART_LOADS(LABEL_A) HART_STORES(LABEL_AB)
    HART_FLOAT_LOADS(LABEL_A) HART_FLOAT_STORES(LABEL_A) HART_BRANCHES(LABEL_BRANCH) HART_FAST_FLOAT(LABEL_1)
    HART_FAST_FUSED(LABEL_1) HART_OTHER_OPERATIONS(LABEL_1) HART_FUSED_PAIRS(LABEL_FUSED)
  };
  struct decoder *const d = hart_decoder(hart);
  uint64_t *const x = hart->x;
  const uint64_t first_base = d->first.base, first_limit = d->first.limit;
  uint8_t *const first_memory = d->first.memory;
  const struct operation *at;
  uint64_t count, accumulator, target;
  goto outside;

  HART_REGISTER_OPERATIONS(REGISTER_HANDLERS)
  HART_IMMEDIATE_OPERATIONS(IMMEDIATE_HANDLERS)
  HART_LOADS(LOAD_HANDLERS)
  HART_STORES(STORE_HANDLERS)
  HART_FLOAT_LOADS(FLOAT_LOAD_HANDLERS)
  HART_FLOAT_STORES(FLOAT_STORE_HANDLERS)
  HART_BRANCHES(BRANCH_HANDLERS)
  HART_FAST_FLOAT(FAST_FLOAT_HANDLER)
  HART_FAST_FUSED(FAST_FUSED_HANDLER)
  HART_FUSED_PAIRS(FUSED_HANDLER)

NOP: NEXT();
LI: SET_RD((uint64_t)(int64_t)at->immediate); NEXT();
AUIPC: SET_RD(d->page_pc + (uint64_t)(int64_t)at->immediate); NEXT();
JUMP_NEAR: LAND_NEAR();
JUMP_FAR: target = d->page_pc + (uint64_t)(int64_t)at->immediate; goto jump;
JAL_NEAR: x[at->rd] = d->page_pc + (at->rs1 | (uint32_t)at->rs2 << 8); LAND_NEAR();
JAL_FAR:
  x[at->rd] = d->page_pc + (at->rs1 | (uint32_t)at->rs2 << 8);
  target = d->page_pc + (uint64_t)(int64_t)at->immediate;
  goto jump;
JALR: {
  target = (x[at->rs1] + (uint64_t)(int64_t)at->charge) & ~1ull;
  if (at->rd != 0) x[at->rd] = d->page_pc + (uint16_t)at->distance;
  goto jump;
}
PAGE_END: OFF_STREAM:
  target = d->page_pc + d->page->offsets[at - d->page->operations];
  goto jump;
branch_far:
  count -= d->page->remaining[at - d->page->operations] - 1u;
  target = d->page_pc + (uint64_t)(int64_t)at->immediate;
jump: { /* to any address, with all instructions up to here counted */
  uint64_t page_pc = target & ~(uint64_t)(HART_PAGE_BYTES - 1);
  if (page_pc != d->page_pc) {
    uint32_t way = page_pc / HART_PAGE_BYTES % HART_PRIVATE_PAGES;
    if (UNLIKELY(d->pages[way].pc != page_pc || d->exact)) goto enter;
    d->page = d->pages[way].page;
    d->page_pc = page_pc;
  }
  uint32_t i = d->page->index[(target & (HART_PAGE_BYTES - 1)) / 2];
  if (UNLIKELY(i == HART_NO_OPERATION)) goto enter;
  at = d->page->operations + i;
  count += d->page->remaining[i];
  LAND();
}
enter: /* the decoded page is not at hand, or every instruction is looked at */
  if (UNLIKELY(count >= d->limit)) {
    hart->cycles += count - hart->instructions;
    hart->instructions = count;
    hart->pc = target;
    goto outside;
  }
  at = hart_enter(hart, target, handlers);
  if (UNLIKELY(at == NULL)) {
    hart->cycles += count - hart->instructions;
    hart->instructions = count;
    hart->pc = target;
    take_trap(hart);
    goto outside;
  }
  count += d->page->remaining[at - d->page->operations];
  LAND();
CROSS_PAGE:
  SAVE();
  hart_settle(hart);
  at = hart_cross_page(hart, hart->pc, handlers);
  if (UNLIKELY(at == NULL)) {
    take_trap(hart);
    goto outside;
  }
  count += d->page->remaining[0];
  DISPATCH();

LOAD_ZERO:
  SAVE();
  if (UNLIKELY(hart_load_slow(hart, x[at->rs1] + (uint64_t)(int64_t)at->immediate, at->rs2).failed)) goto trap;
  NEXT();
FENCE: atomic_thread_fence(memory_order_seq_cst); NEXT();
ATOMIC:
  SAVE();
  if (UNLIKELY(!hart_atomic(hart, d->page->words[at - d->page->operations]))) goto trap;
  NEXT();
FLOAT:
  if (UNLIKELY(!hart_float_instruction(hart, d->page->words[at - d->page->operations]))) goto illegal;
  NEXT();
CSR:
  SAVE();
  hart_settle(hart);
  if (!hart_csr_instruction(hart, d->page->words[at - d->page->operations])) goto illegal;
  goto retire;
CUSTOM: {
  uint64_t result = 0;
  const uint64_t limit = d->limit;
  SAVE();
  enum hart_custom outcome = hart_custom_instruction(hart, d->page->words[at - d->page->operations], &result);
  if (outcome == HART_CUSTOM_ILLEGAL) goto illegal;
  if (outcome == HART_CUSTOM_TRAP) goto trap;
  if (outcome == HART_CUSTOM_STALL) {
    d->stop = HART_STALLED;
    goto leave;
  }
  if (at->rd != 0) x[at->rd] = result;
  if (LIKELY(!is_called(hart))) d->limit = limit;
  goto retire_custom;
}
CUSTOM_PLAIN: {
  uint64_t result = 0, cause;
  const uint32_t word = d->page->words[at - d->page->operations];
  const struct hart_environment *const environment = hart->environment;
  if (environment->custom(environment->context, hart, word, x[at->rs1], x[at->rs2], &result, &cause) != HART_CUSTOM_DONE) goto illegal;
  if (at->rd != 0) x[at->rd] = result;
}
retire_custom: /* kernels consist of them: a look up only where the slice is over or something has happened */
  at++;
  if (UNLIKELY(count >= d->limit)) {
    count += d->page->remaining[at - d->page->operations];
    goto look_up;
  }
  count += d->page->remaining[at - d->page->operations];
  accumulator = x[at->expects];
  DISPATCH();
FENCE_I: {
  at++;
  count += d->page->remaining[at - d->page->operations];
  SAVE();
  hart_settle(hart);
  hart_drop_code(hart);
  goto outside;
}
WFI:
  d->waiting = (atomic_load(&hart->mip) & hart->mie) == 0;
  goto retire;
MRET:
  SAVE();
  hart_settle(hart);
  hart_return(hart);
  hart->instructions++;
  hart->cycles++;
  goto outside;
ECALL:
  hart_fail(hart, HART_MACHINE_CALL, 0);
  SAVE();
  goto trap;
EBREAK:
  SAVE();
  hart_settle(hart);
  hart_fail(hart, HART_BREAKPOINT, hart->pc);
  goto trap;
ILLEGAL: illegal:
  SAVE();
  hart_settle(hart);
  hart_fail(hart, HART_ILLEGAL_INSTRUCTION, illegal_value(hart));
trap: /* saved; cause and value are in the decoder */
  hart_settle(hart);
  take_trap(hart);
  goto outside;

retire: /* the end of a run that goes on with the next instruction, once the surroundings have been looked at */
  at++;
  count += d->page->remaining[at - d->page->operations];
look_up:
  SAVE();
  hart_settle(hart);
outside: /* pc, instructions and cycles are true */
  if (!go_on(hart)) goto leave;
  at = hart_enter(hart, hart->pc, handlers);
  if (UNLIKELY(at == NULL)) {
    take_trap(hart);
    goto outside;
  }
  count = hart->instructions + d->page->remaining[at - d->page->operations];
  accumulator = x[at->expects];
  DISPATCH();
leave:
  return d->stop;
}

enum hart_stop hart_run(struct hart *hart, uint64_t budget) {
  struct decoder *d = hart_decoder(hart);
  if (atomic_exchange(&hart->fence_request, false)) hart_drop_code(hart);
  hart_map_regions(hart);
  d->end = hart->instructions + budget < budget ? ~0ull : hart->instructions + budget;
  d->exact = budget <= HART_EXACT_BUDGET;
  uint32_t saved = hart_host_flags_begin();
  enum hart_stop stop = execute(hart);
  hart_host_flags_collect(hart);
  hart_host_flags_end(saved);
  return stop;
}
