/* How firmware divides context SRAM and the local memory of a PE. Read by C, by assembly and by the linker scripts. */
#ifndef MTIA_FIRMWARE_MEMORY_LAYOUT_H
#define MTIA_FIRMWARE_MEMORY_LAYOUT_H

/* Context SRAM: the control firmware from the base, then the stack of the boot ROM, later of the control firmware. */
#define CONTROL_BASE 0x10000000
#define CONTROL_BYTES 0x003f0000
#define CONTROL_STACK_TOP 0x10400000

/* SRAM: the PE monitor from the base, kernels behind it. */
#define MONITOR_BASE 0x80000000
#define MONITOR_BYTES 0x00010000

/* Local memory of a PE: job descriptor, monitor data, and two stacks that grow down. */
#define PE_JOB_DESCRIPTOR 0x08000000
#define PE_STACK_TOP 0x08004000
#define PE_STACK_BYTES 0x1000

#endif
