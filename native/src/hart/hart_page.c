/*
 * Builds decoded pages. Where instructions start cannot be told from the bytes alone (lengths differ, data may lie between
 * functions), so a page is decoded as the stream that contains the halfword where a hart wants to enter; a halfword that is
 * no start in this stream gets another decoding of the page when a hart jumps to it.
 */
#include "hart_internal.h"
#include <stdlib.h>
#include <string.h>

static uint16_t halfword_at(const uint8_t *source, uint32_t slot) {
  return (uint16_t)(source[slot * 2] | source[slot * 2 + 1] << 8);
}

/* Turns distances into offsets from the start of the page, and notes the return address of calls. */
static void relocate(struct operation *o, uint32_t offset, uint32_t length) {
  uint32_t link = offset + length;
  switch (o->opcode) {
    case OP_AUIPC: case OP_JUMP_FAR:
    case OP_BEQ_FAR: case OP_BNE_FAR: case OP_BLT_FAR: case OP_BGE_FAR: case OP_BLTU_FAR: case OP_BGEU_FAR:
      o->immediate += (int32_t)offset;
      return;
    case OP_JAL_FAR:
      o->immediate += (int32_t)offset;
      o->rs1 = (uint8_t)link;
      o->rs2 = (uint8_t)(link >> 8);
      return;
    case OP_JALR:
      o->charge = (int16_t)o->immediate;
      o->distance = (int16_t)link;
      return;
    default: return;
  }
}

/* Decodes the instruction whose first (or only) halfword and, where it has one, second halfword are given. */
static uint32_t decode_bits(uint32_t bits, uint32_t offset, struct operation *o, uint32_t *word) {
  uint32_t length = (bits & 3) == 3 ? 4 : 2;
  *word = length == 4 ? bits : hart_expand((uint16_t)bits);
  hart_decode(*word, o);
  relocate(o, offset, length);
  return length;
}

/* Lists the operations of the stream through halfword entry. */
static void sweep(struct code_page *page, uint32_t entry) {
  uint32_t slot = 0, count = 0;
  memset(page->index, 0xff, sizeof page->index);
  while (slot < HART_PAGE_SLOTS) {
    struct operation *o = &page->operations[count];
    uint32_t low = halfword_at(page->source, slot), slots = (low & 3) == 3 ? 2 : 1;
    bool straddles = slot + slots > HART_PAGE_SLOTS, hides_entry = slot < entry && slot + slots > entry;
    page->offsets[count] = (uint16_t)(slot * 2);
    if (straddles || hides_entry) {
      memset(o, 0, sizeof *o);
      o->opcode = straddles ? OP_CROSS_PAGE : OP_OFF_STREAM;
      slots = 1;
    } else {
      uint32_t high = slots == 2 ? halfword_at(page->source, slot + 1) : 0;
      decode_bits(low | high << 16, slot * 2, o, &page->words[count]);
    }
    if (!hides_entry) page->index[slot] = (uint16_t)count;
    slot += slots;
    count++;
  }
  memset(&page->operations[count], 0, sizeof(struct operation));
  page->operations[count].opcode = OP_PAGE_END;
  page->offsets[count] = HART_PAGE_BYTES;
  page->count = count;
}

static bool ends_run(uintptr_t opcode) {
  switch (opcode) {
    case OP_JUMP_FAR: case OP_JAL_FAR: case OP_JALR: case OP_ILLEGAL: case OP_ECALL: case OP_EBREAK: case OP_MRET: case OP_WFI:
    case OP_CSR: case OP_CUSTOM: case OP_CUSTOM_PLAIN: case OP_FENCE_I:
      return true;
    default: return false;
  }
}

static void count_remaining(struct code_page *page) {
  page->remaining[page->count] = 0;
  for (uint32_t i = page->count; i-- > 0;) {
    uintptr_t opcode = page->operations[i].opcode;
    if (opcode == OP_CROSS_PAGE || opcode == OP_OFF_STREAM) page->remaining[i] = 0;
    else page->remaining[i] = ends_run(opcode) ? 1 : (uint16_t)(page->remaining[i + 1] + 1);
  }
}

static bool between(uintptr_t opcode, uintptr_t first, uintptr_t last) { return opcode >= first && opcode <= last; }

static void swap_sources(struct operation *o) {
  uint8_t rs1 = o->rs1;
  o->rs1 = o->rs2;
  o->rs2 = rs1;
}

static bool commutes(uintptr_t opcode) {
  switch (opcode) {
    case OP_ADD: case OP_XOR: case OP_OR: case OP_AND: case OP_ADDW: case OP_MUL: case OP_MULW: case OP_MULHU: case OP_BEQ: case OP_BNE:
      return true;
    default: return false;
  }
}

/* Chooses the variant that reads the accumulator; held is the register it holds. Returns what it holds afterwards. */
static uint8_t use_accumulator(struct operation *o, uint8_t held) {
  uintptr_t opcode = o->opcode;
  bool first = held != 0 && o->rs1 == held, second = held != 0 && o->rs2 == held;
  if (between(opcode, OP_ADD, OP_REMUW)) {
    if (second && !first && commutes(opcode)) swap_sources(o), first = true;
    o->opcode += first ? 1 : second ? 2 : 0;
    return o->rd;
  }
  if (between(opcode, OP_ADDI, OP_LWU)) {
    o->opcode += first ? 1 : 0;
    return o->rd;
  }
  if (between(opcode, OP_SB, OP_SD)) {
    o->opcode += first ? 1 : second ? 2 : 0;
    return held;
  }
  if (between(opcode, OP_FLW, OP_FSD)) {
    o->opcode += first ? 1 : 0;
    return held;
  }
  if (opcode == OP_LI || opcode == OP_AUIPC) return o->rd;
  if (ends_run(opcode) || opcode == OP_ATOMIC || opcode == OP_FLOAT) return 0;
  if (opcode == OP_BEQ || opcode == OP_BNE || opcode == OP_BLT || opcode == OP_BGE || opcode == OP_BLTU || opcode == OP_BGEU) {
    if (second && !first && commutes(opcode)) swap_sources(o), first = true;
    o->opcode += first ? 1 : 0;
  }
  return held;
}

/* Branches and jumps whose target is an operation of this page. */
static void connect(struct code_page *page, uint32_t i) {
  struct operation *o = &page->operations[i];
  bool branch = between(o->opcode, OP_BEQ, OP_BGEU_FAR);
  if (!branch && o->opcode != OP_JUMP_FAR && o->opcode != OP_JAL_FAR) return;
  uint32_t target = (uint32_t)o->immediate;
  if (target >= HART_PAGE_BYTES || page->index[target / 2] == HART_NO_OPERATION) return;
  uint32_t j = page->index[target / 2];
  o->distance = (int16_t)(((int32_t)j - (int32_t)i) * (int32_t)sizeof(struct operation));
  o->charge = (int16_t)(page->remaining[j] - page->remaining[i] + 1);
  o->opcode -= branch ? 2 : 1;
}

/* Opcode of one half of a pair, by its kind. */
#define OPCODE_R(name) OP_##name
#define OPCODE_R_A(name) OP_##name##_A
#define OPCODE_R_B(name) OP_##name##_B
#define OPCODE_I(name) OP_##name
#define OPCODE_I_A(name) OP_##name##_A
#define OPCODE_L(name) OP_##name
#define OPCODE_L_A(name) OP_##name##_A
#define OPCODE_S(name) OP_##name
#define OPCODE_B(name) OP_##name
#define OPCODE_B_A(name) OP_##name##_A
#define PAIR(first, second) ((uint32_t)(first) << 16 | (uint32_t)(second))
#define PAIR_CASE(kind1, name1, kind2, name2) \
  case PAIR(OPCODE_##kind1(name1), OPCODE_##kind2(name2)): return OP_##kind1##_##name1##__##kind2##_##name2;

/* What runs an operation together with the next one, or the operation alone. */
static uintptr_t fuse(uintptr_t first, uintptr_t second) {
  switch (PAIR(first, second)) {
    HART_FUSED_PAIRS(PAIR_CASE)
    default: return first;
  }
}

static void finish(struct code_page *page, const void *const *handlers) {
  _Static_assert(OP_JUMP_FAR == OP_JUMP_NEAR + 1 && OP_JAL_FAR == OP_JAL_NEAR + 1 && OP_BEQ_FAR == OP_BEQ + 2, "order of opcodes");
  uint8_t held = 0;
  count_remaining(page);
  for (uint32_t i = 0; i <= page->count; i++) {
    struct operation *o = &page->operations[i];
    bool run_ends = ends_run(o->opcode);
    connect(page, i);
    o->expects = held;
    held = run_ends ? 0 : use_accumulator(o, held);
  }
  for (uint32_t i = 0; i < page->count; i++) {
    page->operations[i].handler = handlers[fuse(page->operations[i].opcode, page->operations[i + 1].opcode)];
  }
  page->operations[page->count].handler = handlers[page->operations[page->count].opcode];
}

struct code_page *code_page_build(const uint8_t *source, uint32_t entry, const void *const *handlers) {
  enum { MOST = HART_PAGE_SLOTS + 1 };
  struct code_page *page = malloc(sizeof *page + MOST * (sizeof(struct operation) + sizeof(uint32_t) + 2 * sizeof(uint16_t)));
  if (page == NULL) return NULL;
  page->operations = (struct operation *)(void *)(page + 1);
  page->words = (uint32_t *)(void *)(page->operations + MOST);
  page->offsets = (uint16_t *)(void *)(page->words + MOST);
  page->remaining = page->offsets + MOST;
  memcpy(page->source, source, HART_PAGE_BYTES);
  sweep(page, entry);
  finish(page, handlers);
  page->host = source;
  page->references = 0;
  page->stale = false;
  page->next = NULL;
  return page;
}

void single_page_build(struct single_page *single, uint32_t offset, uint32_t bits, const void *const *handlers) {
  struct code_page *page = &single->page;
  page->operations = single->operations;
  page->words = single->words;
  page->offsets = single->offsets;
  page->remaining = single->remaining;
  page->count = 1;
  memset(page->index, 0xff, sizeof page->index); /* every jump leaves the page */
  uint32_t length = decode_bits(bits, offset, &page->operations[0], &page->words[0]);
  memset(&page->operations[1], 0, sizeof page->operations[1]);
  page->operations[1].opcode = OP_PAGE_END;
  page->offsets[0] = (uint16_t)offset;
  page->offsets[1] = (uint16_t)(offset + length);
  finish(page, handlers);
}
