/*
 * What the files of the hart share. A page of code is decoded as a whole into a dense array of operations (the stream):
 * the next operation is always the next element, whatever the length of the instruction, and the position of an operation
 * tells its pc. Pages are immutable once published; they hold nothing that depends on a hart or on the virtual address.
 */
#ifndef MTIA_HART_INTERNAL_H
#define MTIA_HART_INTERNAL_H
#include "hart.h"
#include "hart_opcodes.h"

enum {
  HART_PAGE_BYTES = 4096,
  HART_PAGE_SLOTS = HART_PAGE_BYTES / 2,
  HART_NO_OPERATION = 0xffff,
  HART_PRIVATE_PAGES = 64,
  HART_SLICE = 1024,      /* instructions between two looks at interrupt lines and halt requests */
  HART_EXACT_BUDGET = 16  /* up to this budget, hart_run stops at exactly the budget: single steps */
};

enum hart_cause {
  HART_FETCH_FAULT = 1, HART_ILLEGAL_INSTRUCTION = 2, HART_BREAKPOINT = 3,
  HART_LOAD_MISALIGNED = 4, HART_LOAD_FAULT = 5, HART_STORE_MISALIGNED = 6, HART_STORE_FAULT = 7, HART_MACHINE_CALL = 11,
  HART_HARDWARE_ERROR = 19
};

#define HART_MSTATUS_MIE 0x8ull
#define HART_MSTATUS_MPIE 0x80ull
#define HART_MSTATUS_MPP 0x1800ull
#define HART_MSTATUS_FS 0x6000ull
#define HART_INTERRUPTS 0x888ull /* MSI, MTI, MEI */

struct operation {
  union {
    const void *handler; /* label in hart_execute.c */
    uintptr_t opcode;    /* enum hart_opcode until the page is finished */
  };
  uint8_t rd, rs1, rs2;
  uint8_t expects; /* register that the accumulator must hold where a jump lands here */
  union {
    int32_t immediate;
    struct {
      int16_t distance; /* bytes from this operation to the target */
      int16_t charge;   /* what a taken branch adds to the count: remaining[target] - remaining[this] + 1 */
    };
  };
};

struct code_page {
  /* remaining[i]: instructions from operation i to the end of its run (next unconditional transfer). A run is charged
     when it is entered; whoever leaves it early takes the rest back. */
  uint16_t *remaining, *offsets;
  uint32_t *words; /* the instruction, expanded; 0 where a halfword expands to nothing */
  struct operation *operations;
  uint32_t count;
  uint16_t index[HART_PAGE_SLOTS]; /* operation at a halfword of the page, or HART_NO_OPERATION */
  /* of the cache */
  const uint8_t *host;
  uint8_t source[HART_PAGE_BYTES];
  uint32_t references;
  bool stale;
  struct code_page *next;
};

/* One instruction as a page of its own: instructions across two pages, single steps. */
struct single_page {
  struct code_page page;
  struct operation operations[2];
  uint16_t remaining[2], offsets[2];
  uint32_t words[2];
};

struct fast_region { uint64_t base, limit; uint8_t *memory; };

/* State of hart_run and private caches. */
struct decoder {
  uint64_t limit;   /* look up from the loop where count exceeds this */
  uint64_t count;   /* instructions charged; saved whenever the loop calls out */
  uint64_t page_pc; /* virtual address of page */
  const struct code_page *page;
  const struct operation *at;
  struct fast_region first, second; /* readable and writable; first = regions[0], second = the other one used last */
  uint64_t end;     /* count at which the budget is spent */
  uint64_t cause, value;
  uint64_t reserved_value; /* what LR loaded */
  uint64_t cycle_offset, instruction_offset; /* written mcycle and minstret relative to the true counts */
  enum hart_stop stop;
  bool exact, waiting, host_fma;
  uint64_t single_pc; /* pc of single, or 1 */
  struct single_page single;
  struct { uint64_t pc; struct code_page *page; } pages[HART_PRIVATE_PAGES]; /* pc = 1: empty */
};

/* A value, or failed: cause and value of the trap are in the decoder. */
struct hart_value { uint64_t value; uint64_t failed; };

static inline struct decoder *hart_decoder(const struct hart *hart) { return hart->decoder; }

/* hart_decode.c, hart_compressed.c */
void hart_decode(uint32_t word, struct operation *operation);
uint32_t hart_expand(uint16_t halfword); /* 0 = illegal */
/* hart_page.c */
struct code_page *code_page_build(const uint8_t *source, uint32_t entry, const void *const *handlers);
void single_page_build(struct single_page *single, uint32_t offset, uint32_t bits, const void *const *handlers);
/* code_cache.c: the page that decodes the 4096 bytes at host so that an instruction starts at halfword entry. Counted
   references. NULL: no memory. */
struct code_page *code_cache_acquire(struct code_cache *cache, const uint8_t *host, uint32_t entry, const void *const *handlers);
void code_cache_release(struct code_cache *cache, struct code_page *page);
/* hart_fetch.c */
const struct operation *hart_enter(struct hart *hart, uint64_t pc, const void *const *handlers);
const struct operation *hart_cross_page(struct hart *hart, uint64_t pc, const void *const *handlers);
void hart_drop_code(struct hart *hart);
uint32_t hart_instruction_bits(struct hart *hart, uint64_t pc); /* as in memory; 0 where there is none */
/* hart.c */
void hart_settle(struct hart *hart);
bool hart_fail(struct hart *hart, uint64_t cause, uint64_t value);
/* hart_memory.c */
struct hart_value hart_load_slow(struct hart *hart, uint64_t address, uint32_t width);
bool hart_store_slow(struct hart *hart, uint64_t address, uint32_t width, uint64_t value);
bool hart_atomic(struct hart *hart, uint32_t word);
enum hart_custom hart_custom_instruction(struct hart *hart, uint32_t word, uint64_t *result);
void hart_map_regions(struct hart *hart);
/* hart_csr.c */
bool hart_csr_read(const struct hart *hart, uint32_t number, uint64_t *value);
bool hart_csr_write(struct hart *hart, uint32_t number, uint64_t value);
bool hart_csr_instruction(struct hart *hart, uint32_t word);
void hart_trap(struct hart *hart, uint64_t cause, uint64_t value);
bool hart_take_interrupt(struct hart *hart);
void hart_return(struct hart *hart);
/* hart_float_execute.c: false = illegal instruction */
bool hart_float_instruction(struct hart *hart, uint32_t word);
bool hart_float_encoding_valid(uint32_t word);
/* Only where the host has fused multiply-add (decoder.host_fma). */
float hart_fma_single(float a, float b, float c);
double hart_fma_double(double a, double b, double c);

#endif
