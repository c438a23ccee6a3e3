/*
 * The scalar loop mix as a program of its own, for hart_runner and qemu-riscv64:
 *   riscv64-unknown-elf-gcc -march=rv64imafdc -mabi=lp64d -mcmodel=medany -O2 -ffreestanding -nostdlib -static -Wl,-Ttext=0x80001000 \
 *     -Ifirmware/include -Inative/include native/test/hart_benchmark.c -o build/test/hart_benchmark.elf
 */
#include <stdint.h>
#include "mtia_kernel.h"
#include "../../firmware/benchmark-kernels/scalar_mix.c"

#ifndef REPETITIONS
#define REPETITIONS 1000
#endif

/* Static, so that clearing them needs no library. */
uint8_t stack[65536];
static struct mtia_job_descriptor job;

__attribute__((used)) static uint64_t run(void) {
  job.arguments[0] = REPETITIONS;
  return kernel_main(&job, 0);
}

/* Linux maps no PE local memory: there, mmap at its address is what the first call does; hart_runner ignores it. */
__attribute__((naked, section(".text.start"))) void _start(void) {
  __asm__ volatile(
      "la sp, stack + 65536\n"
      "li a0, 0x8000000\n li a1, 0x60000\n li a2, 3\n li a3, 0x32\n li a4, -1\n li a5, 0\n li a7, 222\n ecall\n"
      "call run\n"
      "li a7, 93\n ecall\n");
}
