/* The hart against the privileged specification 1.12, machine mode only: CSRs, traps, interrupts, counters, and what is left out. */
#include "hart_test.h"

enum { MISA = 0x301, MCOUNTINHIBIT = 0x320, MCYCLE = 0xb00, MINSTRET = 0xb02, VECTORED = 1 };

static uint32_t csr_form(uint32_t form, int rd, int csr, int source) { return csrrs(rd, csr, source) ^ (2u ^ form) << 12; }

/* Runs one instruction from reset state; the handler of traps waits. */
static enum hart_stop run_one(struct machine *m, uint32_t word) {
  hart_reset(&m->hart, RAM);
  m->hart.mtvec = HANDLER;
  PROGRAM(m, word, WFI);
  return hart_run(&m->hart, 100);
}

static int interrupts(struct machine *m) {
  PROGRAM(m, 0x0000006f /* j . */);
  m->hart.mie = 0x888;
  m->hart.mtvec = HANDLER | 1;
  atomic_store(&m->hart.mip, 0x888);
  CHECK(hart_run(&m->hart, 5000) == HART_BUDGET && m->hart.pc == RAM); /* mstatus.MIE is clear */
  uint64_t order[3] = {11, 3, 7};
  for (int i = 0; i < 3; i++) {
    m->hart.mstatus |= 8;
    hart_register_write(&m->hart, 32, RAM);
    hart_run(&m->hart, 1);
    CHECK(m->hart.mcause == (1ull << 63 | order[i]) && m->hart.mepc == RAM && m->hart.pc == HANDLER + 4 * order[i] + 4);
    CHECK((m->hart.mstatus & 0x88) == 0x80);
    atomic_fetch_and(&m->hart.mip, ~(1ull << order[i]));
  }
  return 0;
}

static int wait_for_interrupt(struct machine *m) {
  PROGRAM(m, WFI, addi(A0, A0, 1), 0xff9ff06f /* j -8 */);
  CHECK(hart_run(&m->hart, 100) == HART_WAITING && m->hart.pc == RAM + 4);
  CHECK(hart_run(&m->hart, 100) == HART_WAITING && m->hart.x[A0] == 0 && m->hart.instructions == 1);
  atomic_store(&m->hart.mip, 8);
  CHECK(hart_run(&m->hart, 100) == HART_WAITING);
  m->hart.mie = 8; /* pending and enabled, but MIE is clear: goes on without a trap */
  CHECK(hart_run(&m->hart, 99) == HART_BUDGET && m->hart.x[A0] >= 32);
  return 0;
}

static int enabling_interrupts(struct machine *m) {
  m->hart.mie = 0x80;
  atomic_store(&m->hart.mip, 0x80);
  PROGRAM(m, 0x30046073 /* csrsi mstatus, 8 */, addi(A0, X0, 1));
  put(m, HANDLER, (uint32_t[]){0x0000006f /* j . */}, 1);
  CHECK(hart_run(&m->hart, 100) == HART_BUDGET && m->hart.mepc == RAM + 4 && m->hart.x[A0] == 0);
  return 0;
}

static int control_registers(struct machine *m) {
  uint64_t value;
  m->hart.x[A0] = ~0ull;
  PROGRAM(m, csrrw(X0, MSTATUS, A0), csrrw(X0, MIE, A0), csrrw(X0, MEPC, A0), csrrw(X0, MTVEC, A0), csrrw(X0, MIP, A0), csrrw(X0, 0x3b0, A0),
          csrrw(X0, 0x301, A0), csrrs(A1, 0xc01, X0), csrrs(A2, 0xf14, X0), csrrs(A3, 0xb02, X0), WFI);
  CHECK(hart_run(&m->hart, 100) == HART_WAITING);
  CHECK(hart_register_read(&m->hart, 0x1300, &value) && value == 0x8000000000007888);
  CHECK(m->hart.mie == 0x888 && m->hart.mepc == ~1ull && m->hart.mtvec == ~2ull && atomic_load(&m->hart.mip) == 0);
  CHECK(hart_register_read(&m->hart, 0x13b0, &value) && value == 0);
  CHECK(hart_register_read(&m->hart, 0x1301, &value) && value == 0x800000000000112d);
  CHECK(m->hart.x[A1] == 4242 && m->hart.x[A2] == 3 && m->hart.x[A3] == 9);
  CHECK(!hart_register_read(&m->hart, 0x17b0, &value) && !hart_register_read(&m->hart, 65, &value));
  CHECK(!hart_register_write(&m->hart, 0x1f14, 1));
  return 0;
}

static int counters(struct machine *m) {
  m->hart.x[A0] = 1000;
  PROGRAM(m, NOP, csrrw(X0, 0xb02, A0), csrrs(A1, 0xc02, X0), csrrw(X0, 0xb00, A0), NOP, csrrs(A2, 0xc00, X0), WFI);
  CHECK(hart_run(&m->hart, 100) == HART_WAITING);
  CHECK(m->hart.x[A1] == 1000 && m->hart.x[A2] == 1001 && m->hart.instructions == 7); /* the true count is not the guest's to set */
  return 0;
}

/* Interrupts go to base + 4 * cause in vectored mode, exceptions to base. */
static int exceptions_are_never_vectored(struct machine *m) {
  PROGRAM(m, ECALL);
  m->hart.mtvec = HANDLER | VECTORED;
  hart_run(&m->hart, 1);
  hart_run(&m->hart, 1);
  CHECK(trapped(m, 11, RAM, 0) && (m->hart.pc & ~63ull) == HANDLER && m->hart.pc <= HANDLER + 4);
  return 0;
}

/* There is one level of mepc, mcause and MPIE: what a handler has not saved, a trap of its own replaces. */
static int a_trap_in_a_handler_replaces_the_first(struct machine *m) {
  PROGRAM(m, ECALL);
  put(m, HANDLER, (uint32_t[]){EBREAK}, 1);
  m->hart.mstatus |= 8;
  hart_run(&m->hart, 1);
  CHECK(trapped(m, 11, RAM, 0) && (m->hart.mstatus & 0x88) == 0x80);
  hart_run(&m->hart, 1);
  CHECK(trapped(m, 3, HANDLER, HANDLER) && m->hart.pc == HANDLER && (m->hart.mstatus & 0x88) == 0);
  return 0;
}

/* mtvec: modes direct and vectored; the reserved ones become the one without bit 1. */
static int mtvec_keeps_legal_modes(struct machine *m) {
  for (uint64_t mode = 0; mode < 4; mode++) {
    uint64_t value;
    CHECK(hart_register_write(&m->hart, 0x1305, HANDLER | mode) && hart_register_read(&m->hart, 0x1305, &value));
    CHECK(value == (HANDLER | (mode & 1)));
  }
  return 0;
}

static int interrupts_off_in_mie_wait(struct machine *m) {
  PROGRAM(m, addi(A0, A0, 1), 0xffdff06f /* j -4 */);
  put(m, HANDLER, (uint32_t[]){0x0000006f /* j . */}, 1); /* a wfi would go on: the interrupt stays pending */
  m->hart.mstatus |= 8;
  m->hart.mie = 8;
  atomic_store(&m->hart.mip, 0x880);
  CHECK(hart_run(&m->hart, 100) == HART_BUDGET && m->hart.mcause == 0);
  atomic_store(&m->hart.mip, 0x888);
  CHECK(hart_run(&m->hart, 100) == HART_BUDGET && m->hart.mcause == (1ull << 63 | 3) && m->hart.mtval == 0);
  return 0;
}

/* mepc is the instruction after wfi. */
static int an_interrupt_ends_wfi(struct machine *m) {
  PROGRAM(m, WFI, NOP);
  put(m, HANDLER, (uint32_t[]){0x0000006f /* j . */}, 1);
  m->hart.mstatus |= 8;
  m->hart.mie = 0x80;
  CHECK(hart_run(&m->hart, 100) == HART_WAITING && m->hart.mcause == 0);
  atomic_store(&m->hart.mip, 0x80);
  CHECK(hart_run(&m->hart, 100) == HART_BUDGET && m->hart.mcause == (1ull << 63 | 7) && m->hart.mepc == RAM + 4);
  return 0;
}

/* mstatus: MIE and MPIE are bits, MPP is always 3, FS is off or dirty, the rest (MPRV, VS, SUM, ...) is zero. */
static int mstatus_keeps_legal_values(struct machine *m) {
  static const struct { uint64_t written, read; } values[] = {
      {0, 0x1800}, {8, 0x1808}, {0x80, 0x1880}, {0x2000, 0x8000000000007800}, {0x6000, 0x8000000000007800}, {~0x6000ull, 0x1888}};
  uint64_t value;
  for (uint32_t i = 0; i < sizeof values / sizeof values[0]; i++) {
    CHECK(hart_register_write(&m->hart, 0x1000 + MSTATUS, values[i].written));
    CHECK(hart_register_read(&m->hart, 0x1000 + MSTATUS, &value) && value == values[i].read);
  }
  return 0;
}

static int mret_restores_the_interrupt_enable(struct machine *m) {
  for (uint64_t before = 0; before <= 0x88; before += 8) {
    hart_reset(&m->hart, RAM);
    m->hart.mstatus |= before & 0x88;
    m->hart.mepc = RAM + 0x100;
    PROGRAM(m, MRET);
    hart_run(&m->hart, 1);
    CHECK(m->hart.pc == RAM + 0x100 && (m->hart.mstatus & 0x1888) == (0x1880 | (before & 0x80) >> 4));
  }
  return 0;
}

/* Present, read-only zero: event counters, inhibition, protection, triggers, identity. */
static int registers_that_read_as_zero(struct machine *m) {
  static const int numbers[] = {0x320, 0x323, 0x33f, 0xb03, 0xb1f, 0x3a0, 0x3a2, 0x3ae, 0x3b0, 0x3ef, 0x7a0, 0x7a1, 0x7a2, 0x7a3};
  for (uint32_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
    hart_reset(&m->hart, RAM);
    m->hart.mtvec = HANDLER;
    m->hart.x[A0] = ~0ull, m->hart.x[A1] = 1;
    PROGRAM(m, csrrw(X0, numbers[i], A0), csrrs(A1, numbers[i], X0), WFI);
    CHECK(hart_run(&m->hart, 100) == HART_WAITING && m->hart.mcause == 0 && m->hart.x[A1] == 0);
  }
  for (int number = 0xf11; number <= 0xf13; number++) {
    CHECK(run_one(m, csrrs(A1, number, X0)) == HART_WAITING && m->hart.mcause == 0 && m->hart.x[A1] == 0);
  }
  return 0;
}

/* The counters that are there cannot be stopped: mcountinhibit stays zero. */
static int counters_are_never_inhibited(struct machine *m) {
  m->hart.x[A0] = ~0ull;
  PROGRAM(m, csrrw(X0, MCOUNTINHIBIT, A0), csrrs(A1, MINSTRET, X0), csrrs(A2, MCYCLE, X0), NOP, NOP, csrrs(A3, MINSTRET, X0),
          csrrs(A0, MCYCLE, X0), WFI);
  CHECK(hart_run(&m->hart, 100) == HART_WAITING && m->hart.x[A3] - m->hart.x[A1] == 4 && m->hart.x[A0] - m->hart.x[A2] == 4);
  return 0;
}

static int misa_is_fixed(struct machine *m) {
  PROGRAM(m, csrrw(X0, MISA, X0), csrrs(A0, MISA, X0), WFI);
  CHECK(hart_run(&m->hart, 100) == HART_WAITING && m->hart.mcause == 0);
  CHECK(m->hart.x[A0] == (2ull << 62 | 1u << ('I' - 'A') | 1u << ('M' - 'A') | 1u << ('A' - 'A') | 1u << ('F' - 'A') | 1u << ('D' - 'A') | 1u << ('C' - 'A')));
  return 0;
}

/* A write to a read-only register is illegal even where it changes nothing; a set of no bits is no write. */
static int read_only_registers(struct machine *m) {
  static const int numbers[] = {0xc00, 0xc01, 0xc02, 0xc03, 0xf11, 0xf14};
  for (uint32_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
    for (uint32_t form = 1; form <= 7; form++) {
      if (form == 4) continue;
      const bool write_of_zero = form == 1 || form == 5;
      const uint32_t quiet = csr_form(form, A0, numbers[i], 0), loud = csr_form(form, A0, numbers[i], A1);
      CHECK(run_one(m, quiet) == HART_WAITING && m->hart.mcause == (write_of_zero ? 2 : 0));
      CHECK(run_one(m, loud) == HART_WAITING && trapped(m, 2, RAM, loud));
    }
  }
  return 0;
}

static int forms_of_csr_access(struct machine *m) {
  m->hart.x[A0] = 0xf0;
  m->hart.mscratch = 0x1234;
  PROGRAM(m, csr_form(1, A1, MSCRATCH, A0), csr_form(6, A2, MSCRATCH, 3), csr_form(7, A3, MSCRATCH, 1), csr_form(3, T0, MSCRATCH, A0), WFI);
  CHECK(hart_run(&m->hart, 100) == HART_WAITING && m->hart.mscratch == 2);
  CHECK(m->hart.x[A1] == 0x1234 && m->hart.x[A2] == 0xf0 && m->hart.x[A3] == 0xf3 && m->hart.x[T0] == 0xf2);
  return 0;
}

/* Other modes and what is delegated or shown to them, odd pmpcfg (RV32), debug mode, tcontrol, vectors: no such registers. */
static int registers_that_do_not_exist(struct machine *m) {
  static const int numbers[] = {0x100, 0x105, 0x180, 0x200, 0x302, 0x303, 0x306, 0x30a, 0x310, 0x3a1, 0x3f0, 0x7a5, 0x7b0, 0x747, 0xb01, 0xb20, 0xb80,
                                0xc80, 0x008, 0x009, 0x00a, 0x00f, 0xc20, 0xc21, 0xc22};
  for (uint32_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
    const uint32_t word = csrrs(A0, numbers[i], X0);
    CHECK(run_one(m, word) == HART_WAITING && trapped(m, 2, RAM, word));
  }
  return 0;
}

/* RVV: every vector opcode is illegal, whatever VS says. */
static int vector_instructions_are_illegal(struct machine *m) {
  static const uint32_t widths[] = {0, 5, 6, 7};
  for (uint32_t funct3 = 0; funct3 < 8; funct3++) {
    const uint32_t word = 0x02000057 | funct3 << 12 | A0 << 7;
    CHECK(run_one(m, word) == HART_WAITING && trapped(m, 2, RAM, word));
  }
  for (uint32_t i = 0; i < 4; i++) {
    const uint32_t vector_load = 0x02050007 | widths[i] << 12, vector_store = vector_load | 0x20;
    CHECK(run_one(m, vector_load) == HART_WAITING && trapped(m, 2, RAM, vector_load));
    CHECK(run_one(m, vector_store) == HART_WAITING && trapped(m, 2, RAM, vector_store));
  }
  return 0;
}

const struct hart_case privileged_cases[] = {
    TEST(interrupts), TEST(wait_for_interrupt), TEST(enabling_interrupts), TEST(control_registers), TEST(counters),
    TEST(exceptions_are_never_vectored), TEST(a_trap_in_a_handler_replaces_the_first), TEST(mtvec_keeps_legal_modes), TEST(interrupts_off_in_mie_wait), TEST(an_interrupt_ends_wfi), TEST(mstatus_keeps_legal_values),
    TEST(mret_restores_the_interrupt_enable), TEST(registers_that_read_as_zero), TEST(counters_are_never_inhibited), TEST(misa_is_fixed),
    TEST(read_only_registers), TEST(forms_of_csr_access), TEST(registers_that_do_not_exist), TEST(vector_instructions_are_illegal),
    {NULL, NULL}};
