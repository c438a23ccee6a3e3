/*
 * Directed tests of the hart: traps, interrupts, CSRs, wfi, custom instructions, stores to code, atomics across threads.
 * Prints "ok NAME" or "FAILED NAME (line)" for each; exit status 1 where one failed.
 */
#include <pthread.h>
#include "hart_test.h"

static enum hart_access device_read(void *context, struct hart *hart, uint64_t address, uint32_t width, uint64_t *value) {
  struct machine *m = context;
  m->last_address = address, m->last_width = width, m->last_pc = hart->pc, m->last_instructions = hart->instructions;
  if (address % width != 0) return HART_ACCESS_MISALIGNED;
  *value = m->device_value;
  return address - DEVICE < 0x100 ? HART_ACCESS_OK : HART_ACCESS_FAULT;
}
static enum hart_access device_write(void *context, struct hart *hart, uint64_t address, uint32_t width, uint64_t value) {
  struct machine *m = context;
  m->last_address = address, m->last_width = width, m->device_value = value;
  if (address % width != 0) return HART_ACCESS_MISALIGNED;
  if (address == DEVICE + 8) atomic_fetch_or(&hart->mip, 8); /* a software interrupt to itself */
  return address - DEVICE < 0x100 ? HART_ACCESS_OK : HART_ACCESS_FAULT;
}
static const uint8_t *code_page(void *context, struct hart *hart, uint64_t address) {
  (void)hart;
  return address - ROM < 8192 ? ((struct machine *)context)->rom + (address - ROM) : NULL;
}
/* Two doublewords behind the registers of the device are memory. */
static enum hart_access device_atomic(void *context, struct hart *hart, uint64_t address, uint32_t width, bool writes, uint8_t **memory) {
  struct machine *m = context;
  m->last_address = address, m->last_width = width, m->last_atomic_writes = writes;
  hart->cycles += 100;
  if (address == DEVICE_LOST) return HART_ACCESS_HARDWARE_ERROR;
  if (address - DEVICE_MEMORY >= sizeof m->device_memory) return HART_ACCESS_FAULT;
  *memory = (uint8_t *)m->device_memory + (address - DEVICE_MEMORY);
  return HART_ACCESS_OK;
}
static enum hart_custom custom(void *context, struct hart *hart, uint32_t word, uint64_t rs1, uint64_t rs2, uint64_t *result, uint64_t *cause) {
  struct machine *m = context;
  m->custom_word = word;
  m->last_pc = hart->pc;
  hart->cycles += 100;
  m->customs++;
  if (m->custom_interrupts) atomic_fetch_or(&hart->mip, 8);
  *result = rs1 * 10 + rs2;
  *cause = 24;
  return m->custom_outcome;
}
static uint64_t now(void *context) {
  (void)context;
  return 4242;
}

static struct hart_environment environment = {NULL, device_read, device_write, device_atomic, code_page, custom, now};

static struct machine *create(struct code_cache *cache) {
  struct machine *m = calloc(1, sizeof *m);
  struct hart_environment *own = malloc(sizeof *own);
  *own = environment;
  own->context = m;
  if (m == NULL || hart_create(&m->hart, 3, own, cache) != 0) exit(2);
  m->hart.regions[0] = (struct hart_region){RAM, RAM_BYTES, m->ram, 1, 1, 1};
  m->hart.regions[1] = (struct hart_region){0x90000000, 4096, m->rom, 1, 0, 0}; /* read only, not executable */
  hart_reset(&m->hart, RAM);
  m->hart.mtvec = HANDLER;
  for (uint32_t i = 0; i < 64; i++) memcpy(m->ram + 0x2000 + i * 4, &(uint32_t){WFI}, 4); /* a trap stops the run */
  return m;
}

static void destroy(struct machine *m) {
  hart_destroy(&m->hart);
  free((void *)m->hart.environment);
  free(m);
}

static int ecall_and_return(struct machine *m) {
  PROGRAM(m, NOP, ECALL, addi(A0, X0, 7), WFI);
  put(m, HANDLER, (uint32_t[]){csrrs(T0, MEPC, X0), addi(T0, T0, 4), csrrw(X0, MEPC, T0), MRET}, 4);
  m->hart.mstatus |= 8;
  CHECK(hart_run(&m->hart, 100) == HART_WAITING);
  CHECK(trapped(m, 11, RAM + 8, 0) && m->hart.x[A0] == 7);
  CHECK((m->hart.mstatus & 0x88) == 0x88);
  CHECK(m->hart.instructions == 1 + 4 + 2 && m->hart.cycles == m->hart.instructions); /* ecall does not retire */
  return 0;
}

static int breakpoint(struct machine *m) {
  PROGRAM(m, EBREAK);
  CHECK(hart_run(&m->hart, 100) == HART_WAITING && trapped(m, 3, RAM, RAM));
  return 0;
}

static int illegal_instructions(struct machine *m) {
  const uint32_t words[] = {0, 0x57, 0x0000f003, 0x02000053 | 5u << 12, 0xffffffff, csrrs(A0, 0x7b0, X0), csrrw(A0, 0xf14, X0), 0x30200073 | 1u << 7,
                                   0x02007007 /* vector load */, 0xd2000053 | 4u << 20};
  for (uint32_t i = 0; i < sizeof words / 4; i++) {
    hart_reset(&m->hart, RAM);
    m->hart.mtvec = HANDLER;
    m->hart.mstatus |= 0x6000;
    PROGRAM(m, words[i]);
    CHECK(hart_run(&m->hart, 100) == HART_WAITING);
    CHECK(trapped(m, 2, RAM, (words[i] & 3) == 3 ? words[i] : words[i] & 0xffff));
  }
  return 0;
}

static int float_off(struct machine *m) {
  uint32_t add = 0x02007053, move = csrrs(A0, 3, X0), ld = 0x00003007;
  uint32_t words[] = {add, move, ld};
  for (uint32_t i = 0; i < 3; i++) {
    hart_reset(&m->hart, RAM);
    m->hart.mtvec = HANDLER;
    PROGRAM(m, words[i]);
    CHECK(hart_run(&m->hart, 100) == HART_WAITING && trapped(m, 2, RAM, words[i]));
  }
  hart_reset(&m->hart, RAM);
  m->hart.mtvec = HANDLER;
  hart_register_write(&m->hart, 0x1300, 0x2000);
  m->hart.fcsr = 5 << 5; /* no such rounding mode */
  PROGRAM(m, add);
  CHECK(hart_run(&m->hart, 100) == HART_WAITING && trapped(m, 2, RAM, add));
  return 0;
}

static int memory_faults(struct machine *m) {
  struct { uint32_t word; uint64_t address, cause; } cases[] = {
    {load(3, A1, A0, 0), 0x4000, 5}, {store(3, A1, A0), 0x4000, 7}, {load(2, A1, A0, 0), DEVICE + 2, 4}, {store(1, A1, A0), DEVICE + 1, 6},
    {store(0, A1, A0), 0x90000000, 7}, {amo(0, 2, A1, A0, A2), RAM + 0x802, 6}, {amo(2, 3, A1, A0, 0), RAM + 0x804, 4}, {amo(0, 2, A1, A0, A2), DEVICE, 7},
    {load(0, X0, A0, 0), 0x4000, 5}, {load(3, A1, A0, 0), RAM + RAM_BYTES - 4, 4}, {load(3, A1, A0, 0), RAM + RAM_BYTES, 5}};
  for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    hart_reset(&m->hart, RAM);
    m->hart.mtvec = HANDLER;
    m->hart.x[A0] = cases[i].address;
    m->hart.x[A1] = 99;
    uint64_t before = m->hart.instructions;
    PROGRAM(m, addi(A2, A2, 1), cases[i].word);
    CHECK(hart_run(&m->hart, 100) == HART_WAITING && trapped(m, cases[i].cause, RAM + 4, cases[i].address));
    CHECK(m->hart.x[A1] == 99 && m->hart.instructions == before + 2); /* addi and the wfi of the handler */
  }
  return 0;
}

static int misaligned_ram(struct machine *m) {
  m->hart.x[A0] = RAM + 0x1001;
  m->hart.x[A1] = 0x1122334455667788;
  PROGRAM(m, store(3, A1, A0), load(2, A2, A0, 1), load(0, A3, X0, 0));
  CHECK(hart_run(&m->hart, 100) == HART_WAITING);
  CHECK(m->hart.x[A2] == 0x44556677 && trapped(m, 5, RAM + 8, 0));
  /* the last bytes of a region */
  hart_reset(&m->hart, RAM);
  m->hart.x[A0] = RAM + RAM_BYTES - 1;
  m->ram[RAM_BYTES - 1] = 0x80;
  PROGRAM(m, load(0, A1, A0, 0), WFI);
  CHECK(hart_run(&m->hart, 100) == HART_WAITING && m->hart.x[A1] == ~0x7full);
  return 0;
}

static int device_access(struct machine *m) {
  m->hart.x[A0] = DEVICE;
  m->device_value = 0xffffffff80000001;
  PROGRAM(m, NOP, NOP, load(2, A1, A0, 16), load(6, A2, A0, 4), WFI);
  CHECK(hart_run(&m->hart, 100) == HART_WAITING);
  CHECK(m->hart.x[A1] == 0xffffffff80000001 && m->hart.x[A2] == 0x80000001);
  CHECK(m->last_address == DEVICE + 4 && m->last_width == 4 && m->last_pc == RAM + 12 && m->last_instructions == 3);
  return 0;
}

static int fetch_faults(struct machine *m) {
  PROGRAM(m, 0x00050067 /* jr a0 */);
  m->hart.x[A0] = 0x4000;
  CHECK(hart_run(&m->hart, 100) == HART_WAITING && trapped(m, 1, 0x4000, 0x4000));
  hart_reset(&m->hart, RAM);
  m->hart.mtvec = HANDLER;
  m->hart.x[A0] = 0x90000000;
  CHECK(hart_run(&m->hart, 100) == HART_WAITING && trapped(m, 1, 0x90000000, 0x90000000));
  /* the second half of an instruction lies behind the end of memory */
  hart_reset(&m->hart, RAM + RAM_BYTES - 2);
  m->hart.mtvec = HANDLER;
  memcpy(m->ram + RAM_BYTES - 2, &(uint16_t){NOP}, 2);
  CHECK(hart_run(&m->hart, 100) == HART_WAITING && trapped(m, 1, RAM + RAM_BYTES - 2, RAM + RAM_BYTES));
  /* a trap vector that faults itself comes back all the same */
  hart_reset(&m->hart, 0x5000);
  CHECK(hart_run(&m->hart, 100) == HART_BUDGET && m->hart.pc == 0 && m->hart.mcause == 1);
  return 0;
}

static int across_pages(struct machine *m) {
  uint32_t word = addi(A0, A0, 1);
  memcpy(m->ram + 0xffe, &word, 4);
  memcpy(m->ram + 0x1002, &(uint32_t){0xffdff06f}, 4); /* j -4: back to the instruction across the pages */
  hart_reset(&m->hart, RAM + 0xffe);
  CHECK(hart_run(&m->hart, 1000) == HART_BUDGET && m->hart.x[A0] >= 500 && m->hart.x[A0] <= 502);
  word = addi(A0, A0, 2); /* only the first page changes, or only the second: 2 << 20 is in the second half */
  memcpy(m->ram + 0xffe, &word, 4);
  m->hart.x[A0] = 0;
  atomic_store(&m->hart.fence_request, true);
  CHECK(hart_run(&m->hart, 1000) == HART_BUDGET && m->hart.x[A0] >= 998);
  return 0;
}

static int code_outside_regions(struct machine *m) {
  memcpy(m->rom, (uint32_t[]){addi(A0, X0, 5), WFI}, 8);
  hart_reset(&m->hart, ROM);
  CHECK(hart_run(&m->hart, 100) == HART_WAITING && m->hart.x[A0] == 5);
  return 0;
}

static int into_an_instruction(struct machine *m) {
  /* lui a0, 0x45050: its upper halfword is c.li a0, 1 */
  PROGRAM(m, 0x45050537, WFI);
  CHECK(hart_run(&m->hart, 100) == HART_WAITING && m->hart.x[A0] == 0x45050000);
  hart_register_write(&m->hart, 32, RAM + 2);
  CHECK(hart_run(&m->hart, 100) == HART_WAITING && m->hart.x[A0] == 1);
  return 0;
}

static int self_modifying(struct machine *m) {
  m->hart.x[A0] = RAM + 16;
  m->hart.x[A1] = addi(A2, X0, 2);
  PROGRAM(m, store(2, A1, A0), FENCE_I, NOP, NOP, addi(A2, X0, 1), WFI);
  CHECK(hart_run(&m->hart, 100) == HART_WAITING && m->hart.x[A2] == 2);
  /* another agent writes; the old code may run until the fence */
  PROGRAM(m, addi(A2, X0, 3), WFI);
  hart_register_write(&m->hart, 32, RAM);
  atomic_store(&m->hart.fence_request, true);
  CHECK(hart_run(&m->hart, 100) == HART_WAITING && m->hart.x[A2] == 3);
  return 0;
}

static int interrupt_to_itself(struct machine *m) {
  m->hart.x[A0] = DEVICE + 8;
  m->hart.mie = 8;
  m->hart.mstatus |= 8;
  PROGRAM(m, store(2, A1, A0), addi(A2, A2, 1), 0xffdff06f /* j -4 */);
  put(m, HANDLER, (uint32_t[]){0x0000006f /* j . */}, 1);
  CHECK(hart_run(&m->hart, 1000) == HART_BUDGET && m->hart.mcause == (1ull << 63 | 3) && m->hart.x[A2] <= 1);
  return 0;
}

static int custom_instructions(struct machine *m) {
  uint32_t word = 0x0b | A2 << 7 | 3u << 12 | A0 << 15 | A1 << 20 | 5u << 25;
  m->hart.x[A0] = 7;
  m->hart.x[A1] = 3;
  PROGRAM(m, NOP, word, addi(A3, A2, 1), WFI);
  m->custom_outcome = HART_CUSTOM_STALL;
  CHECK(hart_run(&m->hart, 100) == HART_STALLED && m->hart.pc == RAM + 4 && m->hart.instructions == 1);
  CHECK(hart_run(&m->hart, 100) == HART_STALLED && m->hart.instructions == 1 && m->hart.cycles == 201);
  m->custom_outcome = HART_CUSTOM_DONE;
  CHECK(hart_run(&m->hart, 100) == HART_WAITING && m->hart.x[A2] == 73 && m->hart.x[A3] == 74);
  CHECK(m->custom_word == word && m->last_pc == RAM + 4 && m->hart.instructions == 4 && m->hart.cycles == 304);
  m->custom_outcome = HART_CUSTOM_TRAP;
  hart_register_write(&m->hart, 32, RAM + 4);
  CHECK(hart_run(&m->hart, 100) == HART_WAITING && trapped(m, 24, RAM + 4, 73));
  m->custom_outcome = HART_CUSTOM_ILLEGAL;
  hart_register_write(&m->hart, 32, RAM + 4);
  CHECK(hart_run(&m->hart, 100) == HART_WAITING && trapped(m, 2, RAM + 4, word));
  return 0;
}

/* The loop goes on from one to the next without a look up; budgets, counters and interrupts must not show it. */
static int loops_of_custom_instructions(struct machine *m) {
  static const uint32_t opcodes[] = {0x0b, 0x2b};
  m->hart.x[A0] = 7;
  m->custom_outcome = HART_CUSTOM_DONE;
  for (uint32_t i = 0; i < 2; i++) {
    const uint32_t word = opcodes[i] | A2 << 7 | A0 << 15 | A1 << 20;
    PROGRAM(m, word, addi(A3, A2, 1), 0xff9ff06f /* j -8 */);
    hart_register_write(&m->hart, 32, RAM);
    for (uint64_t budget = 1; budget < 10000; budget = budget * 3 + 1) {
      const uint64_t instructions = m->hart.instructions, cycles = m->hart.cycles, customs = m->customs;
      CHECK(hart_run(&m->hart, budget) == HART_BUDGET);
      const uint64_t ran = m->hart.instructions - instructions;
      CHECK(ran >= budget && ran < budget + 3 && m->hart.cycles - cycles == ran + 100 * (m->customs - customs));
      CHECK(m->customs - customs >= ran / 3 && m->customs - customs <= ran / 3 + 1);
    }
    CHECK(m->hart.x[A2] == 70 && m->hart.x[A3] == 71);
    m->hart.mie = 8;
    m->hart.mstatus |= 8;
    put(m, HANDLER, (uint32_t[]){0x0000006f /* j . */}, 1);
    const uint64_t customs = m->customs;
    atomic_store(&m->hart.mip, 0);
    m->custom_interrupts = true;
    CHECK(hart_run(&m->hart, 2000) == HART_BUDGET && m->hart.mcause == (1ull << 63 | 3));
    CHECK(opcodes[i] == 0x2b || (m->customs == customs + 1 && m->hart.mepc == RAM + 4));
    m->custom_interrupts = false;
    m->hart.mie = 0;
    m->custom_outcome = HART_CUSTOM_ILLEGAL;
    hart_register_write(&m->hart, 32, RAM);
    CHECK(hart_run(&m->hart, 1) == HART_BUDGET && trapped(m, 2, RAM, word));
    m->custom_outcome = HART_CUSTOM_DONE;
  }
  return 0;
}

static int budgets(struct machine *m) {
  PROGRAM(m, addi(A0, A0, 1), addi(A0, A0, 1), addi(A0, A0, 1), addi(A0, A0, 1), 0xff1ff06f /* j -16 */);
  for (uint64_t budget = 1; budget <= 16; budget++) {
    uint64_t before = m->hart.instructions;
    CHECK(hart_run(&m->hart, budget) == HART_BUDGET && m->hart.instructions == before + budget);
  }
  uint64_t before = m->hart.instructions;
  CHECK(hart_run(&m->hart, 10000) == HART_BUDGET && m->hart.instructions - before >= 10000 && m->hart.instructions - before < 10005);
  CHECK(m->hart.cycles == m->hart.instructions);
  atomic_store(&m->hart.halt_request, true);
  CHECK(hart_run(&m->hart, 100) == HART_HALTED);
  return 0;
}

static int raise_between_runs(struct machine *m) {
  PROGRAM(m, WFI, NOP);
  m->hart.mstatus |= 8;
  CHECK(hart_run(&m->hart, 100) == HART_WAITING);
  hart_raise(&m->hart, 27, 0x1234);
  CHECK(trapped(m, 27, RAM + 4, 0x1234) && m->hart.pc == HANDLER && (m->hart.mstatus & 0x88) == 0x80);
  CHECK(hart_run(&m->hart, 100) == HART_WAITING && m->hart.pc == HANDLER + 4);
  return 0;
}

static int reservations(struct machine *m) {
  m->hart.x[A0] = RAM + 0x1000;
  m->hart.x[A1] = 5;
  PROGRAM(m, amo(2, 2, A2, A0, 0), store(2, A1, A0), amo(3, 2, A3, A0, A1), WFI);
  CHECK(hart_run(&m->hart, 100) == HART_WAITING && m->hart.x[A3] == 1); /* memory has changed since LR */
  hart_register_write(&m->hart, 32, RAM + 8);
  CHECK(hart_run(&m->hart, 100) == HART_WAITING && m->hart.x[A3] == 1); /* no reservation any more */
  return 0;
}

/* LR of one width reserves nothing for SC of the other. */
static int reservation_widths(struct machine *m) {
  m->hart.x[A0] = RAM + 0x1000;
  for (uint32_t wide = 0; wide < 2; wide++) {
    PROGRAM(m, amo(2, 2 + (int)wide, A2, A0, 0), amo(3, 3 - (int)wide, A3, A0, A1), WFI);
    hart_register_write(&m->hart, 32, RAM);
    atomic_store(&m->hart.fence_request, true);
    CHECK(hart_run(&m->hart, 100) == HART_WAITING && m->hart.x[A3] == 1);
  }
  return 0;
}

/* What the environment calls memory takes atomics like a region; LR asks for less than AMO and SC. */
static int atomics_outside_regions(struct machine *m) {
  m->hart.x[A0] = DEVICE_MEMORY + 8;
  m->hart.x[A1] = 5;
  m->device_memory[1] = 0xfffffffffffffffe;
  PROGRAM(m, amo(2, 3, A2, A0, 0), WFI);
  CHECK(hart_run(&m->hart, 100) == HART_WAITING && m->hart.x[A2] == 0xfffffffffffffffe && !m->last_atomic_writes);
  PROGRAM(m, amo(2, 3, A2, A0, 0), amo(3, 3, A3, A0, A1), amo(0, 2, A2, A0, A1), WFI);
  hart_register_write(&m->hart, 32, RAM);
  atomic_store(&m->hart.fence_request, true);
  CHECK(hart_run(&m->hart, 100) == HART_WAITING && m->hart.x[A3] == 0 && m->hart.x[A2] == 5 && m->device_memory[1] == 10);
  CHECK(m->last_atomic_writes && m->last_width == 4 && m->hart.cycles == m->hart.instructions + 400);
  m->hart.x[A0] = DEVICE_MEMORY + 16;
  hart_register_write(&m->hart, 32, RAM);
  CHECK(hart_run(&m->hart, 100) == HART_WAITING && trapped(m, 5, RAM, DEVICE_MEMORY + 16));
  return 0;
}

/* Atomics tell memory that has lost its contents from memory that is not theirs. */
static int atomics_on_lost_memory(struct machine *m) {
  const uint32_t words[] = {amo(2, 3, A2, A0, 0), amo(3, 3, A2, A0, A1), amo(0, 2, A2, A0, A1)};
  for (uint32_t i = 0; i < 3; i++) {
    hart_register_write(&m->hart, 32, RAM);
    m->hart.x[A0] = DEVICE_LOST;
    PROGRAM(m, words[i], WFI);
    atomic_store(&m->hart.fence_request, true);
    CHECK(hart_run(&m->hart, 100) == HART_WAITING && trapped(m, 19, RAM, DEVICE_LOST));
  }
  return 0;
}

static int host_flags_stay_apart(struct machine *m) {
  volatile double one = 1, three = 3, quotient = one / three; /* the host's inexact flag is up before the run */
  (void)quotient;
  m->hart.mstatus |= 0x6000;
  PROGRAM(m, csrrs(A1, 1, X0), WFI);
  CHECK(hart_run(&m->hart, 100) == HART_WAITING && m->hart.x[A1] == 0);
  /* fdiv.d f1 = f2 / f3, then csrr */
  m->hart.f[2] = 0x3ff0000000000000, m->hart.f[3] = 0x4008000000000000;
  PROGRAM(m, 0x1a3170d3, csrrs(A1, 1, X0), WFI);
  hart_reset(&m->hart, RAM);
  m->hart.mstatus |= 0x6000;
  m->hart.f[2] = 0x3ff0000000000000, m->hart.f[3] = 0x4008000000000000;
  CHECK(hart_run(&m->hart, 100) == HART_WAITING && m->hart.x[A1] == 1 && m->hart.f[1] == 0x3fd5555555555555);
  return 0;
}

/* ---- several harts on several threads ---- */

enum { THREADS = 4, ROUNDS = 20000 };
static void *run_thread(void *argument) {
  struct hart *hart = argument;
  while (hart_run(hart, 5000) == HART_BUDGET) atomic_store(&hart->fence_request, true); /* shared pages come and go */
  return NULL;
}

/* Each hart adds to one counter by AMO and to another by LR/SC. */
static int atomics_across_threads(struct machine *m) {
  uint32_t words[] = {amo(0, 2, X0, A0, A2), amo(2, 3, T0, A1, 0), addi(T0, T0, 1), amo(3, 3, 6, A1, T0), 0xfe031ae3 /* bnez t1, -12 */,
                      addi(A3, A3, -1), 0xfe0694e3 /* bnez a3, -24 */, WFI};
  put(m, RAM, words, sizeof words / 4);
  struct hart harts[THREADS];
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++) {
    if (hart_create(&harts[i], (uint64_t)i, m->hart.environment, m->hart.code) != 0) return __LINE__;
    memcpy(harts[i].regions, m->hart.regions, sizeof harts[i].regions);
    hart_reset(&harts[i], RAM);
    harts[i].x[A0] = RAM + 0x1000, harts[i].x[A1] = RAM + 0x1008, harts[i].x[A2] = 1, harts[i].x[A3] = ROUNDS;
  }
  for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, run_thread, &harts[i]);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  for (int i = 0; i < THREADS; i++) hart_destroy(&harts[i]);
  uint32_t added;
  uint64_t exchanged;
  memcpy(&added, m->ram + 0x1000, 4);
  memcpy(&exchanged, m->ram + 0x1008, 8);
  CHECK(added == THREADS * ROUNDS && exchanged == THREADS * ROUNDS);
  return 0;
}

/* Two harts with private memory at one address run different code there. */
static int private_memories(struct machine *m) {
  struct machine *other = create(m->hart.code);
  PROGRAM(m, addi(A0, X0, 1), WFI);
  PROGRAM(other, addi(A0, X0, 2), WFI);
  hart_run(&m->hart, 100);
  hart_run(&other->hart, 100);
  bool apart = m->hart.x[A0] == 1 && other->hart.x[A0] == 2;
  destroy(other);
  CHECK(apart);
  return 0;
}

/* Many pages, entered at every halfword: decodings are bounded and dropped. */
static int many_decodings(struct machine *m) {
  for (uint32_t i = 0; i < 0x2000 / 2; i++) memcpy(m->ram + i * 2, &(uint16_t){0x0513}, 2);
  for (uint32_t i = 0; i < 0x1000; i += 2) {
    hart_register_write(&m->hart, 32, RAM + i);
    CHECK(hart_run(&m->hart, 20) == HART_BUDGET);
  }
  return 0;
}

static const struct hart_case cases[] = {
  TEST(ecall_and_return), TEST(breakpoint), TEST(illegal_instructions), TEST(float_off), TEST(memory_faults), TEST(misaligned_ram),
  TEST(device_access), TEST(fetch_faults), TEST(across_pages), TEST(code_outside_regions), TEST(into_an_instruction), TEST(self_modifying),
  TEST(interrupt_to_itself), TEST(custom_instructions), TEST(loops_of_custom_instructions),
  TEST(budgets), TEST(raise_between_runs), TEST(reservations), TEST(reservation_widths), TEST(atomics_outside_regions), TEST(atomics_on_lost_memory), TEST(host_flags_stay_apart),
  TEST(atomics_across_threads), TEST(private_memories), TEST(many_decodings), {NULL, NULL}};

/* Returns how many failed. */
static int run_cases(const struct hart_case *cases_to_run, struct code_cache *cache) {
  int failures = 0;
  for (const struct hart_case *one = cases_to_run; one->name != NULL; one++) {
    struct machine *m = create(cache);
    int line = one->run(m);
    failures += line != 0;
    if (line == 0) printf("ok %s\n", one->name);
    else printf("FAILED %s (line %d)\n", one->name, line);
    destroy(m);
  }
  return failures;
}

int main(void) {
  struct code_cache *cache = code_cache_create();
  int failures = run_cases(cases, cache) + run_cases(privileged_cases, cache);
  code_cache_destroy(cache);
  return failures != 0;
}
