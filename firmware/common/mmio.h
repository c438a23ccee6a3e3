/* Access to the chip's registers and to the machine's control registers. */
#ifndef MTIA_FIRMWARE_MMIO_H
#define MTIA_FIRMWARE_MMIO_H
#include <stdint.h>
#include "generated/mtia_hw.h"

static inline uint32_t mmio_read32(uint64_t address) { return *(const volatile uint32_t *)(uintptr_t)address; }
static inline uint64_t mmio_read64(uint64_t address) { return *(const volatile uint64_t *)(uintptr_t)address; }
static inline void mmio_write32(uint64_t address, uint32_t value) { *(volatile uint32_t *)(uintptr_t)address = value; }
static inline void mmio_write64(uint64_t address, uint64_t value) { *(volatile uint64_t *)(uintptr_t)address = value; }

/* REGISTER(MAILBOX, BOOT_STATUS): address of a register. */
#define REGISTER(block, name) (MTIA_##block##_BASE + MTIA_##block##_##name)

#define CSR_READ(name)                                            \
  __extension__({                                                 \
    uint64_t csr_value_;                                          \
    __asm__ volatile("csrr %0, " #name : "=r"(csr_value_)::"memory"); \
    csr_value_;                                                   \
  })
#define CSR_WRITE(name, value) __asm__ volatile("csrw " #name ", %0" ::"r"((uint64_t)(value)) : "memory")

/* Bits of mie and mip (privileged specification 1.12, section 3.1.9). */
#define INTERRUPT_SOFTWARE (1u << 3)
#define INTERRUPT_TIMER (1u << 7)
#define INTERRUPT_EXTERNAL (1u << 11)

/* Sleeps until an enabled interrupt is pending, even while mstatus.MIE is clear: then no trap is taken. */
static inline void wait_for_interrupt(void) { __asm__ volatile("wfi" ::: "memory"); }

/* Orders writes of memory before the register write that lets a unit read them. */
static inline void memory_barrier(void) { __asm__ volatile("fence" ::: "memory"); }

#endif
