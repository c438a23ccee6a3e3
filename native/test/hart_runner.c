/*
 * Runs a static RISC-V ELF on one hart, in machine mode, over two regions of memory: PE local memory and SRAM. An ecall with
 * the numbers of Linux' write and exit is done here, so that the same file runs under qemu-riscv64.
 *
 *   hart_runner PROGRAM [--budget N] [--report]
 *   hart_runner --legality WORDS
 *
 * --budget: instructions a call of hart_run (16 and fewer: single steps). --report: counts and speed on stderr.
 * --legality: for each four bytes of a file a 1 where they are an instruction, 0 where they trap as an illegal one.
 * Exit status: that of the program; 100 where it ended in a trap.
 */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "hart.h"
#include "generated/mtia_hw.h"

enum { LOCAL_BYTES = 384 * 1024, SRAM_BYTES = 16 << 20, LINUX_WRITE = 64, LINUX_EXIT = 93, ILLEGAL_INSTRUCTION = 2, MACHINE_CALL = 11 };
#define TRAP_PAGE 0x1000ull

struct machine { struct hart hart; uint8_t local[LOCAL_BYTES], *sram; uint8_t trap_page[4096]; };

static enum hart_access no_read(void *context, struct hart *hart, uint64_t address, uint32_t width, uint64_t *value) {
  (void)context, (void)hart, (void)address, (void)width, (void)value;
  return HART_ACCESS_FAULT;
}
static enum hart_access no_write(void *context, struct hart *hart, uint64_t address, uint32_t width, uint64_t value) {
  (void)context, (void)hart, (void)address, (void)width, (void)value;
  return HART_ACCESS_FAULT;
}
static enum hart_access no_atomic(void *context, struct hart *hart, uint64_t address, uint32_t width, bool writes, uint8_t **memory) {
  (void)context, (void)hart, (void)address, (void)width, (void)writes, (void)memory;
  return HART_ACCESS_FAULT;
}
static enum hart_custom no_custom(void *context, struct hart *hart, uint32_t instruction, uint64_t rs1, uint64_t rs2, uint64_t *result, uint64_t *cause) {
  (void)context, (void)hart, (void)instruction, (void)rs1, (void)rs2, (void)result, (void)cause;
  return HART_CUSTOM_ILLEGAL;
}
static const uint8_t *code_page(void *context, struct hart *hart, uint64_t address) {
  (void)hart;
  return address == TRAP_PAGE ? ((struct machine *)context)->trap_page : NULL;
}
static uint64_t no_time(void *context) {
  (void)context;
  return 0;
}

/* Host memory of a guest range, or NULL. */
static uint8_t *memory_of(struct machine *m, uint64_t address, uint64_t bytes) {
  for (int i = 0; i < HART_REGIONS; i++) {
    const struct hart_region *r = &m->hart.regions[i];
    if (address >= r->base && address - r->base <= r->bytes && bytes <= r->bytes - (address - r->base)) return r->memory + (address - r->base);
  }
  return NULL;
}

static void fail(const char *what, const char *name) {
  fprintf(stderr, "hart_runner: %s: %s\n", name, what);
  exit(101);
}

static void load_segments(struct machine *m, const uint8_t *file, size_t bytes, const char *name) {
  Elf64_Ehdr header;
  if (bytes < sizeof header) fail("too short", name);
  memcpy(&header, file, sizeof header);
  if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_machine != EM_RISCV) fail("no RISC-V ELF", name);
  for (uint32_t i = 0; i < header.e_phnum; i++) {
    Elf64_Phdr segment;
    memcpy(&segment, file + header.e_phoff + i * sizeof segment, sizeof segment);
    if (segment.p_type != PT_LOAD) continue;
    uint8_t *memory = memory_of(m, segment.p_vaddr, segment.p_memsz);
    if (memory == NULL || segment.p_offset + segment.p_filesz > bytes) fail("a segment lies outside memory", name);
    memcpy(memory, file + segment.p_offset, segment.p_filesz);
  }
  m->hart.pc = header.e_entry;
}

static void load_program(struct machine *m, const char *name) {
  FILE *stream = fopen(name, "rb");
  if (stream == NULL) fail("cannot open", name);
  uint8_t *file = malloc(SRAM_BYTES);
  size_t bytes = fread(file, 1, SRAM_BYTES, stream);
  fclose(stream);
  load_segments(m, file, bytes, name);
  free(file);
}

/* After a trap. False: the program has ended with *status. */
static bool system_call(struct machine *m, int *status) {
  struct hart *hart = &m->hart;
  if (hart->mcause != MACHINE_CALL) {
    fprintf(stderr, "trap: cause %llu pc 0x%llx value 0x%llx\n", (unsigned long long)hart->mcause, (unsigned long long)hart->mepc,
            (unsigned long long)hart->mtval);
    return *status = 100, false;
  }
  if (hart->x[17] == LINUX_EXIT) return *status = (int)(hart->x[10] & 0xff), false;
  const uint8_t *data = memory_of(m, hart->x[11], hart->x[12]);
  if (hart->x[17] == LINUX_WRITE && data != NULL) fwrite(data, 1, hart->x[12], stdout);
  hart_register_write(hart, 32, hart->mepc + 4);
  return true;
}

/* One step of each word, with floating point on and all registers zero. */
static void print_legality(struct machine *m, const char *name) {
  FILE *stream = fopen(name, "rb");
  uint32_t word;
  if (stream == NULL) fail("cannot open", name);
  while (fread(&word, sizeof word, 1, stream) == 1) {
    hart_reset(&m->hart, MTIA_SRAM_BASE);
    hart_register_write(&m->hart, 0x1300, 0x6000);
    m->hart.mtvec = TRAP_PAGE;
    memcpy(m->sram, &word, sizeof word);
    hart_run(&m->hart, 1);
    putchar(m->hart.mcause == ILLEGAL_INSTRUCTION ? '0' : '1');
  }
  fclose(stream);
}

static struct machine *create(const struct hart_environment *environment, struct code_cache *cache) {
  struct machine *m = calloc(1, sizeof *m);
  m->sram = calloc(1, SRAM_BYTES);
  ((struct hart_environment *)environment)->context = m;
  if (hart_create(&m->hart, 0, environment, cache) != 0) fail("no memory", "hart");
  m->hart.regions[0] = (struct hart_region){MTIA_PE_LOCAL_BASE, LOCAL_BYTES, m->local, 1, 1, 1};
  m->hart.regions[1] = (struct hart_region){MTIA_SRAM_BASE, SRAM_BYTES, m->sram, 1, 1, 1};
  const uint32_t wait_for_interrupt = 0x10500073;
  memcpy(m->trap_page, &wait_for_interrupt, sizeof wait_for_interrupt);
  return m;
}

int main(int count, char **arguments) {
  uint64_t budget = 1u << 20;
  bool report = false, legality = false;
  const char *name = NULL;
  for (int i = 1; i < count; i++) {
    if (strcmp(arguments[i], "--report") == 0) report = true;
    else if (strcmp(arguments[i], "--legality") == 0) legality = true;
    else if (strcmp(arguments[i], "--budget") == 0 && i + 1 < count) budget = strtoull(arguments[++i], NULL, 10);
    else name = arguments[i];
  }
  if (name == NULL) fail("which program?", "usage");
  struct hart_environment environment = {NULL, no_read, no_write, no_atomic, code_page, no_custom, no_time};
  struct code_cache *cache = code_cache_create();
  struct machine *m = create(&environment, cache);
  if (legality) return print_legality(m, name), 0;
  load_program(m, name);
  hart_register_write(&m->hart, 0x1300, 0x6000); /* mstatus.FS, as Linux gives it to a program */
  m->hart.mtvec = TRAP_PAGE;

  struct timespec start, end;
  int status = 0;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
  for (;;) {
    enum hart_stop stop = hart_run(&m->hart, budget);
    if (stop == HART_WAITING && !system_call(m, &status)) break;
  }
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
  double seconds = (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) * 1e-9;
  if (report) {
    fprintf(stderr, "{\"instructions\": %llu, \"cycles\": %llu, \"seconds\": %.6f, \"mips\": %.1f}\n", (unsigned long long)m->hart.instructions,
            (unsigned long long)m->hart.cycles, seconds, (double)m->hart.instructions / seconds / 1e6);
  }
  hart_destroy(&m->hart);
  code_cache_destroy(cache);
  free(m->sram);
  free(m);
  return status;
}
