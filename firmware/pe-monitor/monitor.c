/*
 * The PE monitor: runs on both harts of every PE. Hart 0 waits for a job descriptor and wakes hart 1; both call the
 * kernel; hart 0 waits for hart 1 and reports. A hart whose kernel traps or returns an error reports that at once and
 * waits for the reset with which the control firmware ends every failed job: the reset also ends the other hart, which
 * may be waiting for data that will never come.
 */
#include "memory_layout.h"
#include "mmio.h"
#include "mtia_kernel.h"

/* The block of registers is named after what it describes, its region after what lies there. */
#define MTIA_PE_BASE MTIA_PE_REGISTERS_BASE

_Static_assert(PE_JOB_DESCRIPTOR == MTIA_PE_LOCAL_BASE, "the job descriptor lies at the base of local memory");
_Static_assert(PE_STACK_TOP == MTIA_PE_LOCAL_BASE + MTIA_RESERVED_LOCAL_MONITOR_BYTES, "the stacks end the monitor's area");

_Noreturn void first_hart(void);
_Noreturn void second_hart(void);
_Noreturn void monitor_trap(uint64_t cause, uint64_t pc, uint64_t value);
_Noreturn void monitor_park(void);

/* Semaphores 14 and 15 are the monitor's, 0..13 the kernel's. */
#define JOIN_SEMAPHORE 15u
#define SECOND_HART_INTERRUPT (REGISTER(PE, MSIP) + 4)

typedef uint32_t kernel_function(const struct mtia_job_descriptor *job, uint32_t hart);

/* What a hart reports of its end. */
struct ending {
  uint64_t cause, pc, value;
};

static _Noreturn void report_failure(uint32_t error, struct ending ending) {
  CSR_WRITE(mie, 0);
  /* Of two failing harts the first reports. */
  if (mmio_read32(REGISTER(PE, WORK_PENDING)) != 0) {
    mmio_write32(REGISTER(PE, FAULT_HART), (uint32_t)CSR_READ(mhartid) & 1);
    mmio_write64(REGISTER(PE, FAULT_CAUSE), ending.cause);
    mmio_write64(REGISTER(PE, FAULT_PC), ending.pc);
    mmio_write64(REGISTER(PE, FAULT_VALUE), ending.value);
    mmio_write64(REGISTER(PE, JOB_DONE), error);
  }
  monitor_park();
}

/* Returns only where the kernel succeeded and its commands are done: JOB_DONE would discard what is still waiting. */
static void run_kernel(uint32_t hart) {
  const struct mtia_job_descriptor *job = (const struct mtia_job_descriptor *)PE_JOB_DESCRIPTOR;
  kernel_function *const kernel = (kernel_function *)(uintptr_t)job->entry;
  /* No kernel inherits the rounding mode or the exception flags of another. */
  CSR_WRITE(fcsr, 0);
  const uint32_t result = kernel(job, hart);
  if (result != MTIA_RESULT_OK) report_failure(MTIA_ERROR_KERNEL_ERROR, (struct ending){.cause = result});
  fence();
}

_Noreturn void first_hart(void) {
  CSR_WRITE(mie, INTERRUPT_EXTERNAL);
  for (;;) {
    while (mmio_read32(REGISTER(PE, WORK_PENDING)) == 0) wait_for_interrupt();
    mmio_write32(SECOND_HART_INTERRUPT, 1);
    run_kernel(0);
    semaphore_wait(JOIN_SEMAPHORE, 1);
    mmio_write64(REGISTER(PE, JOB_DONE), MTIA_ERROR_OK);
  }
}

_Noreturn void second_hart(void) {
  CSR_WRITE(mie, INTERRUPT_SOFTWARE);
  for (;;) {
    while (mmio_read32(SECOND_HART_INTERRUPT) == 0) wait_for_interrupt();
    mmio_write32(SECOND_HART_INTERRUPT, 0);
    run_kernel(1);
    semaphore_post(JOIN_SEMAPHORE, 1);
  }
}

_Noreturn void monitor_trap(uint64_t cause, uint64_t pc, uint64_t value) {
  report_failure(MTIA_ERROR_KERNEL_FAULT, (struct ending){.cause = cause, .pc = pc, .value = value});
}
