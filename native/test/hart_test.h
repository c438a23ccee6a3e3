/* What the tests of the hart share: a hart over RAM, ROM and a device, instruction words, checks. */
#ifndef MTIA_HART_TEST_H
#define MTIA_HART_TEST_H
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hart.h"

#define RAM 0x80000000ull
#define ROM 0x10000ull
#define DEVICE 0x20000000ull
#define DEVICE_MEMORY (DEVICE + 0x1000)
#define DEVICE_LOST (DEVICE + 0x2000) /* memory that does not hold what was written */
#define HANDLER (RAM + 0x2000)
enum { RAM_BYTES = 0x10000, X0 = 0, A0 = 10, A1 = 11, A2 = 12, A3 = 13, T0 = 5 };
enum { MSTATUS = 0x300, MIE = 0x304, MTVEC = 0x305, MSCRATCH = 0x340, MEPC = 0x341, MCAUSE = 0x342, MTVAL = 0x343, MIP = 0x344 };
enum { ECALL = 0x73, EBREAK = 0x100073, MRET = 0x30200073, WFI = 0x10500073, FENCE_I = 0x100f, NOP = 0x13 };

struct machine {
  struct hart hart;
  uint8_t ram[RAM_BYTES], rom[8192];
  uint64_t device_memory[2];
  bool last_atomic_writes;
  uint64_t device_value, last_address, last_pc, last_instructions;
  uint32_t last_width;
  enum hart_custom custom_outcome;
  uint32_t custom_word;
  uint64_t customs;       /* so many so far */
  bool custom_interrupts; /* each raises a software interrupt */
};

static inline uint32_t addi(int rd, int rs1, int immediate) { return 0x13u | (uint32_t)rd << 7 | (uint32_t)rs1 << 15 | (uint32_t)immediate << 20; }
static inline uint32_t csrrw(int rd, int csr, int rs1) { return 0x1073u | (uint32_t)rd << 7 | (uint32_t)rs1 << 15 | (uint32_t)csr << 20; }
static inline uint32_t csrrs(int rd, int csr, int rs1) { return 0x2073u | (uint32_t)rd << 7 | (uint32_t)rs1 << 15 | (uint32_t)csr << 20; }
static inline uint32_t load(int funct3, int rd, int rs1, int immediate) { return 0x03u | (uint32_t)rd << 7 | (uint32_t)funct3 << 12 | (uint32_t)rs1 << 15 | (uint32_t)immediate << 20; }
static inline uint32_t store(int funct3, int rs2, int rs1) { return 0x23u | (uint32_t)funct3 << 12 | (uint32_t)rs1 << 15 | (uint32_t)rs2 << 20; }
static inline uint32_t amo(int funct5, int funct3, int rd, int rs1, int rs2) {
  return 0x2fu | (uint32_t)rd << 7 | (uint32_t)funct3 << 12 | (uint32_t)rs1 << 15 | (uint32_t)rs2 << 20 | (uint32_t)funct5 << 27;
}

static inline void put(struct machine *m, uint64_t address, const uint32_t *words, size_t count) {
  memcpy(m->ram + (address - RAM), words, count * 4);
}
#define PROGRAM(m, ...) put(m, RAM, (uint32_t[]){__VA_ARGS__}, sizeof((uint32_t[]){__VA_ARGS__}) / 4)


#define CHECK(c) do { if (!(c)) return __LINE__; } while (0)
static inline bool trapped(const struct machine *m, uint64_t cause, uint64_t pc, uint64_t value) {
  return m->hart.mcause == cause && m->hart.mepc == pc && m->hart.mtval == value;
}

/* A case returns 0, or the line of the check that failed. */
struct hart_case { const char *name; int (*run)(struct machine *m); };
#define TEST(name) {#name, name}
/* Ends with a case without a name. */
extern const struct hart_case privileged_cases[];

#endif
