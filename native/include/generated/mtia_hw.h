/* Generated from src/hw by `npm run hw`. Do not edit. */
#ifndef MTIA_HW_H
#define MTIA_HW_H
#include <stdint.h>

#define MTIA_BOOT_ROM_BASE 0x10000ull
#define MTIA_BOOT_ROM_SIZE 0x10000ull
#define MTIA_PE_LOCAL_BASE 0x8000000ull
#define MTIA_PE_LOCAL_SIZE 0x100000ull
#define MTIA_PE_REGISTERS_BASE 0x9000000ull
#define MTIA_PE_REGISTERS_SIZE 0x1000ull
#define MTIA_CONTEXT_SRAM_BASE 0x10000000ull
#define MTIA_CONTEXT_SRAM_SIZE 0x400000ull
#define MTIA_DESCRIPTOR_SRAM_BASE 0x11000000ull
#define MTIA_DESCRIPTOR_SRAM_SIZE 0x400000ull
#define MTIA_TIMER_BASE 0x20000000ull
#define MTIA_TIMER_SIZE 0x1000ull
#define MTIA_INTERRUPT_CONTROLLER_BASE 0x20010000ull
#define MTIA_INTERRUPT_CONTROLLER_SIZE 0x1000ull
#define MTIA_UART_BASE 0x20020000ull
#define MTIA_UART_SIZE 0x1000ull
#define MTIA_MAILBOX_BASE 0x20030000ull
#define MTIA_MAILBOX_SIZE 0x1000ull
#define MTIA_DMA_ENGINE_BASE 0x20040000ull
#define MTIA_DMA_ENGINE_SIZE 0x1000ull
#define MTIA_WORK_QUEUE_ENGINE_BASE 0x20050000ull
#define MTIA_WORK_QUEUE_ENGINE_SIZE 0x1000ull
#define MTIA_QUEUE_ENGINE_BASE 0x20060000ull
#define MTIA_QUEUE_ENGINE_SIZE 0x1000ull
#define MTIA_SYSTEM_CONTROL_BASE 0x20070000ull
#define MTIA_SYSTEM_CONTROL_SIZE 0x1000ull
#define MTIA_PE_WINDOW_BASE 0x40000000ull
#define MTIA_PE_WINDOW_SIZE 0x4000000ull
#define MTIA_SRAM_BASE 0x80000000ull
#define MTIA_SRAM_SIZE 0x10000000ull
#define MTIA_LPDDR_BASE 0x1000000000ull
#define MTIA_LPDDR_SIZE 0x2000000000ull

#define MTIA_RESERVED_SRAM_FIRMWARE_BYTES 8388608
#define MTIA_RESERVED_LPDDR_FIRMWARE_BYTES 67108864
#define MTIA_RESERVED_LOCAL_MONITOR_BYTES 16384
#define MTIA_RESERVED_LOCAL_JOB_DESCRIPTOR_BYTES 1024
#define MTIA_RESERVED_QUEUE_DESCRIPTOR_BYTES 16384
#define MTIA_PROTECTION_PAGE_BYTES 65536
#define MTIA_OWNER_NONE 0
#define MTIA_OWNER_SHARED_READ_ONLY 255

#define MTIA_LIMIT_QUEUES 32
#define MTIA_LIMIT_CONTEXTS 32
#define MTIA_LIMIT_QUEUE_ENTRIES 256
#define MTIA_LIMIT_MSIX_VECTORS 32
#define MTIA_LIMIT_JOB_SLOTS 64
#define MTIA_LIMIT_DMA_CHANNELS 4
#define MTIA_LIMIT_CIRCULAR_BUFFERS 32
#define MTIA_LIMIT_ACCUMULATORS 4
#define MTIA_LIMIT_SEMAPHORES 16
#define MTIA_LIMIT_COMMAND_REGISTERS 32
#define MTIA_LIMIT_SE_TABLES 8
#define MTIA_LIMIT_SE_TABLE_BYTES 4096
#define MTIA_LIMIT_PENDING_COMMANDS 32
#define MTIA_PCI_VENDOR_ID 7579
#define MTIA_PCI_DEVICE_ID_V1 256
#define MTIA_PCI_DEVICE_ID_2I 512
#define MTIA_PCI_CLASS_CODE 1179648
#define MTIA_PCI_BAR0_BYTES 262144
#define MTIA_PCI_BAR2_BYTES 67108864
#define MTIA_PCI_QUEUE_PAGE_OFFSET 65536
#define MTIA_PCI_QUEUE_PAGE_BYTES 4096
#define MTIA_BOOT_RESET 0
#define MTIA_BOOT_ROM_READY 1
#define MTIA_BOOT_LOADING 2
#define MTIA_BOOT_READY 3
#define MTIA_BOOT_FAILED 4
#define MTIA_INTERRUPT_MAILBOX 0
#define MTIA_INTERRUPT_SUBMISSION 1
#define MTIA_INTERRUPT_MEMORY_COPY_DONE 2
#define MTIA_INTERRUPT_JOB_DONE 3
#define MTIA_INTERRUPT_QUEUE_CHANGED 4
#define MTIA_DMA_HOST_TO_DEVICE 1
#define MTIA_DMA_DEVICE_TO_HOST 2
#define MTIA_DMA_DEVICE_TO_DEVICE 3
#define MTIA_DMA_FILL32 4
#define MTIA_DMA_STATUS_IDLE 0
#define MTIA_DMA_STATUS_BUSY 1
#define MTIA_DMA_STATUS_DONE 2
#define MTIA_DMA_STATUS_FAULT 3
#define MTIA_EXCEPTION_ILLEGAL_COMMAND 24
#define MTIA_EXCEPTION_COMMAND_BUS_FAULT 25
#define MTIA_IDENTITY 0x4149544d

#define MTIA_BAR0_IDENTITY 0x0
#define MTIA_BAR0_GENERATION 0x4
#define MTIA_BAR0_RESET_COUNT 0x8
#define MTIA_BAR0_GRID 0xc
#define MTIA_BAR0_SRAM_BYTES 0x10
#define MTIA_BAR0_LPDDR_BYTES 0x18
#define MTIA_BAR0_BOOT_STATUS 0x20
#define MTIA_BAR0_BOOT_ERROR 0x24
#define MTIA_BAR0_FIRMWARE_VERSION 0x28
#define MTIA_BAR0_FIRMWARE_ABI 0x2c
#define MTIA_BAR0_FIRMWARE_CAPABILITIES 0x30
#define MTIA_BAR0_BOOT_IMAGE_ADDRESS 0x38
#define MTIA_BAR0_BOOT_IMAGE_BYTES 0x40
#define MTIA_BAR0_BOOT_DOORBELL 0x48
#define MTIA_BAR0_WINDOW_BASE 0x50
#define MTIA_BAR0_PANIC_CAUSE 0x58
#define MTIA_BAR0_PANIC_PC 0x60
#define MTIA_BAR0_PANIC_VALUE 0x68
#define MTIA_BAR0_DEVICE_TIME 0x70

#define MTIA_QUEUE_PAGE_SUBMISSION_BASE 0x0
#define MTIA_QUEUE_PAGE_SUBMISSION_ENTRIES 0x8
#define MTIA_QUEUE_PAGE_SUBMISSION_TAIL 0xc
#define MTIA_QUEUE_PAGE_SUBMISSION_HEAD 0x10
#define MTIA_QUEUE_PAGE_CONTEXT 0x14
#define MTIA_QUEUE_PAGE_COMPLETION_BASE 0x18
#define MTIA_QUEUE_PAGE_COMPLETION_ENTRIES 0x20
#define MTIA_QUEUE_PAGE_COMPLETION_HEAD 0x24
#define MTIA_QUEUE_PAGE_COMPLETION_TAIL 0x28
#define MTIA_QUEUE_PAGE_VECTOR 0x2c
#define MTIA_QUEUE_PAGE_ENABLE 0x30
#define MTIA_QUEUE_PAGE_FAULT 0x34

#define MTIA_TIMER_MTIME 0x0
#define MTIA_TIMER_MTIMECMP 0x8
#define MTIA_TIMER_MSIP 0x40

#define MTIA_INTERRUPT_CONTROLLER_PENDING 0x0
#define MTIA_INTERRUPT_CONTROLLER_ENABLE 0x10

#define MTIA_UART_TRANSMIT 0x0
#define MTIA_UART_STATUS 0x4

#define MTIA_MAILBOX_BOOT_STATUS 0x20
#define MTIA_MAILBOX_BOOT_ERROR 0x24
#define MTIA_MAILBOX_FIRMWARE_VERSION 0x28
#define MTIA_MAILBOX_FIRMWARE_ABI 0x2c
#define MTIA_MAILBOX_FIRMWARE_CAPABILITIES 0x30
#define MTIA_MAILBOX_BOOT_IMAGE_ADDRESS 0x38
#define MTIA_MAILBOX_BOOT_IMAGE_BYTES 0x40
#define MTIA_MAILBOX_BOOT_DOORBELL 0x48
#define MTIA_MAILBOX_PANIC_CAUSE 0x58
#define MTIA_MAILBOX_PANIC_PC 0x60
#define MTIA_MAILBOX_PANIC_VALUE 0x68

#define MTIA_DMA_ENGINE_SOURCE 0x0
#define MTIA_DMA_ENGINE_DESTINATION 0x8
#define MTIA_DMA_ENGINE_BYTES 0x10
#define MTIA_DMA_ENGINE_CONTEXT 0x18
#define MTIA_DMA_ENGINE_START 0x1c
#define MTIA_DMA_ENGINE_STATUS 0x20
#define MTIA_DMA_ENGINE_ERROR 0x24
#define MTIA_DMA_ENGINE_FAULT_ADDRESS 0x28

#define MTIA_WORK_QUEUE_ENGINE_DESCRIPTOR 0x0
#define MTIA_WORK_QUEUE_ENGINE_RECTANGLE 0x8
#define MTIA_WORK_QUEUE_ENGINE_SLOT 0xc
#define MTIA_WORK_QUEUE_ENGINE_ARM 0x10
#define MTIA_WORK_QUEUE_ENGINE_START 0x14
#define MTIA_WORK_QUEUE_ENGINE_DONE 0x18
#define MTIA_WORK_QUEUE_ENGINE_ERROR 0x20
#define MTIA_WORK_QUEUE_ENGINE_REMAINING 0x24
#define MTIA_WORK_QUEUE_ENGINE_RESULT 0x28
#define MTIA_WORK_QUEUE_ENGINE_FAULT_PLACE 0x2c
#define MTIA_WORK_QUEUE_ENGINE_FAULT_CAUSE 0x30
#define MTIA_WORK_QUEUE_ENGINE_FAULT_PC 0x38
#define MTIA_WORK_QUEUE_ENGINE_FAULT_VALUE 0x40
#define MTIA_WORK_QUEUE_ENGINE_CYCLES 0x48
#define MTIA_WORK_QUEUE_ENGINE_BUSY 0x50
#define MTIA_WORK_QUEUE_ENGINE_BLOCKED 0x58

#define MTIA_QUEUE_ENGINE_PENDING 0x0
#define MTIA_QUEUE_ENGINE_ENABLED 0x4
#define MTIA_QUEUE_ENGINE_COMPLETION_ADDRESS 0x8
#define MTIA_QUEUE_ENGINE_COMPLETION_POST 0x10
#define MTIA_QUEUE_ENGINE_POST_ERROR 0x14
#define MTIA_QUEUE_ENGINE_CHANGED 0x18
#define MTIA_QUEUE_ENGINE_FETCHED 0x100
#define MTIA_QUEUE_ENGINE_CONSUMED 0x180
#define MTIA_QUEUE_ENGINE_CONTEXT 0x200

#define MTIA_SYSTEM_CONTROL_GENERATION 0x0
#define MTIA_SYSTEM_CONTROL_GRID 0x4
#define MTIA_SYSTEM_CONTROL_SRAM_BYTES 0x8
#define MTIA_SYSTEM_CONTROL_LPDDR_BYTES 0x10
#define MTIA_SYSTEM_CONTROL_LOCAL_BYTES 0x18
#define MTIA_SYSTEM_CONTROL_BROADCAST 0x1c
#define MTIA_SYSTEM_CONTROL_PE_RESET_VECTOR 0x20
#define MTIA_SYSTEM_CONTROL_PE_RESET 0x28
#define MTIA_SYSTEM_CONTROL_PE_RUNNING 0x30
#define MTIA_SYSTEM_CONTROL_PROTECTION_ADDRESS 0x38
#define MTIA_SYSTEM_CONTROL_PROTECTION_PAGES 0x40
#define MTIA_SYSTEM_CONTROL_PROTECTION_OWNER 0x44
#define MTIA_SYSTEM_CONTROL_PROTECTION_ERROR 0x48
#define MTIA_SYSTEM_CONTROL_INSTRUCTION_FENCE 0x4c

#define MTIA_PE_PE_INDEX 0x0
#define MTIA_PE_GENERATION 0x4
#define MTIA_PE_LOCAL_BYTES 0x8
#define MTIA_PE_WORK_PENDING 0xc
#define MTIA_PE_JOB_CONTEXT 0x10
#define MTIA_PE_JOB_DONE 0x18
#define MTIA_PE_FAULT_HART 0x20
#define MTIA_PE_FAULT_CAUSE 0x28
#define MTIA_PE_FAULT_PC 0x30
#define MTIA_PE_FAULT_VALUE 0x38
#define MTIA_PE_CYCLES 0x40
#define MTIA_PE_MTIME 0x48
#define MTIA_PE_MSIP 0x50

#define MTIA_ERROR_OK 0
#define MTIA_ERROR_UNSUPPORTED_COMMAND 1
#define MTIA_ERROR_INVALID_COMMAND 2
#define MTIA_ERROR_INVALID_CONTEXT 3
#define MTIA_ERROR_INVALID_GRID 4
#define MTIA_ERROR_UNKNOWN_KERNEL 5
#define MTIA_ERROR_MEMORY_PROTECTION 6
#define MTIA_ERROR_HOST_ADDRESS_FAULT 7
#define MTIA_ERROR_KERNEL_FAULT 8
#define MTIA_ERROR_KERNEL_TIMEOUT 9
#define MTIA_ERROR_KERNEL_ERROR 10
#define MTIA_ERROR_INDEX_OUT_OF_RANGE 11
#define MTIA_ERROR_INVALID_GRAPH 12
#define MTIA_ERROR_INVALID_KERNEL 13
#define MTIA_ERROR_OUT_OF_CODE_MEMORY 14
#define MTIA_ERROR_ABORTED 15
#define MTIA_ERROR_DEADLOCK 16
#define MTIA_ERROR_ILLEGAL_UNIT_COMMAND 17
#define MTIA_ERROR_INSUFFICIENT_LOCAL_MEMORY 18
#define MTIA_ERROR_BOOT_BAD_BUNDLE 40
#define MTIA_ERROR_BOOT_BAD_HASH 41
#define MTIA_ERROR_BOOT_WRONG_CHIP 42
#define MTIA_ERROR_BOOT_NO_CONTROL_FIRMWARE 43
#define MTIA_ERROR_FIRMWARE_PANIC 44
#define MTIA_ERROR_CHIP_CLOSED 64
#define MTIA_ERROR_CHIP_BAD_ARGUMENT 65
#define MTIA_ERROR_CHIP_NO_MEMORY 66
#define MTIA_ERROR_CHIP_SYSTEM 67
#define MTIA_ERROR_CHIP_NOT_HALTED 68
#define MTIA_ERROR_DEVICE_LOST 128
#define MTIA_ERROR_DEVICE_TIMEOUT 129
#define MTIA_ERROR_DEVICE_CLOSED 130
#define MTIA_ERROR_FIRMWARE_ABI_MISMATCH 131
#define MTIA_ERROR_OUT_OF_DEVICE_MEMORY 132
#define MTIA_ERROR_OUT_OF_HOST_MEMORY 133
#define MTIA_ERROR_INVALID_ARGUMENT 134
#define MTIA_ERROR_INVALID_BUNDLE 135
#define MTIA_ERROR_BAD_SIGNATURE 136
#define MTIA_ERROR_INVALID_MODEL 137
#define MTIA_ERROR_UNSUPPORTED_OPERATOR 138
#define MTIA_ERROR_SHAPE_MISMATCH 139
#define MTIA_ERROR_FIRMWARE_MISMATCH 140
#define MTIA_ERROR_NATIVE_LIBRARY 141
#define MTIA_ERROR_TOO_MANY 142

#define MTIA_OPCODE_LAUNCH 0xb
#define MTIA_OPCODE_COMMAND_REGISTER 0x2b
#define MTIA_TYPE_INT8 0
#define MTIA_TYPE_FP16 1
#define MTIA_TYPE_BF16 2
#define MTIA_TYPE_FP32 3
#define MTIA_TYPE_INT32 4
#define MTIA_SE_IDENTITY 0
#define MTIA_SE_RELU 1
#define MTIA_SE_TABLE_0 16
#define MTIA_SE_OPERATION_ADD 0
#define MTIA_SE_OPERATION_SUBTRACT 1
#define MTIA_SE_OPERATION_MULTIPLY 2
#define MTIA_SE_OPERATION_MAXIMUM 3
#define MTIA_SE_OPERATION_MINIMUM 4
#define MTIA_COMMAND_CB_INIT 0x1
#define MTIA_COMMAND_CB_PUSH 0x2
#define MTIA_COMMAND_CB_POP 0x3
#define MTIA_COMMAND_CB_WAIT_DATA 0x4
#define MTIA_COMMAND_CB_WAIT_SPACE 0x5
#define MTIA_COMMAND_FENCE 0x6
#define MTIA_COMMAND_SEMAPHORE_POST 0x7
#define MTIA_COMMAND_SEMAPHORE_WAIT 0x8
#define MTIA_COMMAND_DMA_IN 0x10
#define MTIA_COMMAND_DMA_OUT 0x11
#define MTIA_COMMAND_ACC_INIT 0x20
#define MTIA_COMMAND_MML 0x21
#define MTIA_COMMAND_REDUCE 0x22
#define MTIA_COMMAND_SE_LOAD_TABLE 0x30
#define MTIA_COMMAND_SE_UNARY 0x31
#define MTIA_COMMAND_SE_BINARY 0x32
#define MTIA_COMMAND_SE_ROW_ACCUMULATE 0x33
#define MTIA_COMMAND_MLU_TRANSPOSE 0x40
#define MTIA_COMMAND_MLU_COPY 0x41

#define MTIA_COMMAND_REGISTER_DMA_SHAPE 0
#define MTIA_COMMAND_REGISTER_DMA_GLOBAL_STRIDE 1
#define MTIA_COMMAND_REGISTER_DMA_LOCAL_STRIDE 2
#define MTIA_COMMAND_REGISTER_MML_SHAPE 3
#define MTIA_COMMAND_REGISTER_MML_STRIDE 4
#define MTIA_COMMAND_REGISTER_SE_SHAPE 5
#define MTIA_COMMAND_REGISTER_SE_SOURCE_STRIDE 6
#define MTIA_COMMAND_REGISTER_SE_DESTINATION_STRIDE 7
#define MTIA_COMMAND_REGISTER_MLU_SHAPE 8
#define MTIA_COMMAND_REGISTER_MLU_SOURCE_STRIDE 9
#define MTIA_COMMAND_REGISTER_MLU_DESTINATION_STRIDE 10

/* Field positions: low bit and width. */
#define MTIA_CB_INIT_CB_FIELD 0
#define MTIA_CB_INIT_CB_LOW 0
#define MTIA_CB_INIT_CB_BITS 8
#define MTIA_CB_INIT_BASE_FIELD 1
#define MTIA_CB_INIT_BASE_LOW 32
#define MTIA_CB_INIT_BASE_BITS 32
#define MTIA_CB_INIT_BYTES_FIELD 2
#define MTIA_CB_INIT_BYTES_LOW 0
#define MTIA_CB_INIT_BYTES_BITS 32
#define MTIA_CB_PUSH_CB_FIELD 0
#define MTIA_CB_PUSH_CB_LOW 0
#define MTIA_CB_PUSH_CB_BITS 8
#define MTIA_CB_PUSH_BYTES_FIELD 1
#define MTIA_CB_PUSH_BYTES_LOW 0
#define MTIA_CB_PUSH_BYTES_BITS 32
#define MTIA_CB_POP_CB_FIELD 0
#define MTIA_CB_POP_CB_LOW 0
#define MTIA_CB_POP_CB_BITS 8
#define MTIA_CB_POP_BYTES_FIELD 1
#define MTIA_CB_POP_BYTES_LOW 0
#define MTIA_CB_POP_BYTES_BITS 32
#define MTIA_CB_WAIT_DATA_CB_FIELD 0
#define MTIA_CB_WAIT_DATA_CB_LOW 0
#define MTIA_CB_WAIT_DATA_CB_BITS 8
#define MTIA_CB_WAIT_DATA_BYTES_FIELD 1
#define MTIA_CB_WAIT_DATA_BYTES_LOW 0
#define MTIA_CB_WAIT_DATA_BYTES_BITS 32
#define MTIA_CB_WAIT_SPACE_CB_FIELD 0
#define MTIA_CB_WAIT_SPACE_CB_LOW 0
#define MTIA_CB_WAIT_SPACE_CB_BITS 8
#define MTIA_CB_WAIT_SPACE_BYTES_FIELD 1
#define MTIA_CB_WAIT_SPACE_BYTES_LOW 0
#define MTIA_CB_WAIT_SPACE_BYTES_BITS 32
#define MTIA_SEMAPHORE_POST_SEMAPHORE_FIELD 0
#define MTIA_SEMAPHORE_POST_SEMAPHORE_LOW 0
#define MTIA_SEMAPHORE_POST_SEMAPHORE_BITS 8
#define MTIA_SEMAPHORE_POST_VALUE_FIELD 1
#define MTIA_SEMAPHORE_POST_VALUE_LOW 0
#define MTIA_SEMAPHORE_POST_VALUE_BITS 32
#define MTIA_SEMAPHORE_WAIT_SEMAPHORE_FIELD 0
#define MTIA_SEMAPHORE_WAIT_SEMAPHORE_LOW 0
#define MTIA_SEMAPHORE_WAIT_SEMAPHORE_BITS 8
#define MTIA_SEMAPHORE_WAIT_VALUE_FIELD 1
#define MTIA_SEMAPHORE_WAIT_VALUE_LOW 0
#define MTIA_SEMAPHORE_WAIT_VALUE_BITS 32
#define MTIA_DMA_IN_ADDRESS_FIELD 0
#define MTIA_DMA_IN_ADDRESS_LOW 0
#define MTIA_DMA_IN_ADDRESS_BITS 64
#define MTIA_DMA_IN_CB_FIELD 1
#define MTIA_DMA_IN_CB_LOW 0
#define MTIA_DMA_IN_CB_BITS 8
#define MTIA_DMA_IN_KEEP_FIELD 2
#define MTIA_DMA_IN_KEEP_LOW 8
#define MTIA_DMA_IN_KEEP_BITS 1
#define MTIA_DMA_IN_OFFSET_FIELD 3
#define MTIA_DMA_IN_OFFSET_LOW 32
#define MTIA_DMA_IN_OFFSET_BITS 32
#define MTIA_DMA_OUT_ADDRESS_FIELD 0
#define MTIA_DMA_OUT_ADDRESS_LOW 0
#define MTIA_DMA_OUT_ADDRESS_BITS 64
#define MTIA_DMA_OUT_CB_FIELD 1
#define MTIA_DMA_OUT_CB_LOW 0
#define MTIA_DMA_OUT_CB_BITS 8
#define MTIA_DMA_OUT_KEEP_FIELD 2
#define MTIA_DMA_OUT_KEEP_LOW 8
#define MTIA_DMA_OUT_KEEP_BITS 1
#define MTIA_DMA_OUT_OFFSET_FIELD 3
#define MTIA_DMA_OUT_OFFSET_LOW 32
#define MTIA_DMA_OUT_OFFSET_BITS 32
#define MTIA_ACC_INIT_ACCUMULATOR_FIELD 0
#define MTIA_ACC_INIT_ACCUMULATOR_LOW 0
#define MTIA_ACC_INIT_ACCUMULATOR_BITS 8
#define MTIA_ACC_INIT_BIAS_FIELD 1
#define MTIA_ACC_INIT_BIAS_LOW 8
#define MTIA_ACC_INIT_BIAS_BITS 1
#define MTIA_ACC_INIT_CB_FIELD 2
#define MTIA_ACC_INIT_CB_LOW 16
#define MTIA_ACC_INIT_CB_BITS 8
#define MTIA_ACC_INIT_OFFSET_FIELD 3
#define MTIA_ACC_INIT_OFFSET_LOW 32
#define MTIA_ACC_INIT_OFFSET_BITS 32
#define MTIA_ACC_INIT_N_FIELD 4
#define MTIA_ACC_INIT_N_LOW 0
#define MTIA_ACC_INIT_N_BITS 8
#define MTIA_MML_ACCUMULATOR_FIELD 0
#define MTIA_MML_ACCUMULATOR_LOW 0
#define MTIA_MML_ACCUMULATOR_BITS 8
#define MTIA_MML_CB_A_FIELD 1
#define MTIA_MML_CB_A_LOW 8
#define MTIA_MML_CB_A_BITS 8
#define MTIA_MML_CB_B_FIELD 2
#define MTIA_MML_CB_B_LOW 16
#define MTIA_MML_CB_B_BITS 8
#define MTIA_MML_OFFSET_A_FIELD 3
#define MTIA_MML_OFFSET_A_LOW 32
#define MTIA_MML_OFFSET_A_BITS 32
#define MTIA_MML_OFFSET_B_FIELD 4
#define MTIA_MML_OFFSET_B_LOW 0
#define MTIA_MML_OFFSET_B_BITS 32
#define MTIA_MML_M_FIELD 5
#define MTIA_MML_M_LOW 0
#define MTIA_MML_M_BITS 8
#define MTIA_MML_N_FIELD 6
#define MTIA_MML_N_LOW 8
#define MTIA_MML_N_BITS 8
#define MTIA_MML_K_BYTES_FIELD 7
#define MTIA_MML_K_BYTES_LOW 16
#define MTIA_MML_K_BYTES_BITS 8
#define MTIA_MML_TYPE_FIELD 8
#define MTIA_MML_TYPE_LOW 24
#define MTIA_MML_TYPE_BITS 8
#define MTIA_MML_K_BLOCKS_FIELD 9
#define MTIA_MML_K_BLOCKS_LOW 32
#define MTIA_MML_K_BLOCKS_BITS 8
#define MTIA_REDUCE_ACCUMULATOR_FIELD 0
#define MTIA_REDUCE_ACCUMULATOR_LOW 0
#define MTIA_REDUCE_ACCUMULATOR_BITS 8
#define MTIA_REDUCE_CB_FIELD 1
#define MTIA_REDUCE_CB_LOW 8
#define MTIA_REDUCE_CB_BITS 8
#define MTIA_REDUCE_FUNCTION_FIELD 2
#define MTIA_REDUCE_FUNCTION_LOW 16
#define MTIA_REDUCE_FUNCTION_BITS 8
#define MTIA_REDUCE_TYPE_FIELD 3
#define MTIA_REDUCE_TYPE_LOW 24
#define MTIA_REDUCE_TYPE_BITS 8
#define MTIA_REDUCE_OFFSET_FIELD 4
#define MTIA_REDUCE_OFFSET_LOW 32
#define MTIA_REDUCE_OFFSET_BITS 32
#define MTIA_REDUCE_ROWS_FIELD 5
#define MTIA_REDUCE_ROWS_LOW 0
#define MTIA_REDUCE_ROWS_BITS 8
#define MTIA_REDUCE_COLUMNS_FIELD 6
#define MTIA_REDUCE_COLUMNS_LOW 8
#define MTIA_REDUCE_COLUMNS_BITS 8
#define MTIA_REDUCE_STRIDE_FIELD 7
#define MTIA_REDUCE_STRIDE_LOW 32
#define MTIA_REDUCE_STRIDE_BITS 32
#define MTIA_SE_LOAD_TABLE_SLOT_FIELD 0
#define MTIA_SE_LOAD_TABLE_SLOT_LOW 0
#define MTIA_SE_LOAD_TABLE_SLOT_BITS 8
#define MTIA_SE_LOAD_TABLE_ADDRESS_FIELD 1
#define MTIA_SE_LOAD_TABLE_ADDRESS_LOW 32
#define MTIA_SE_LOAD_TABLE_ADDRESS_BITS 32
#define MTIA_SE_LOAD_TABLE_BYTES_FIELD 2
#define MTIA_SE_LOAD_TABLE_BYTES_LOW 0
#define MTIA_SE_LOAD_TABLE_BYTES_BITS 32
#define MTIA_SE_UNARY_CB_SOURCE_FIELD 0
#define MTIA_SE_UNARY_CB_SOURCE_LOW 0
#define MTIA_SE_UNARY_CB_SOURCE_BITS 8
#define MTIA_SE_UNARY_CB_DESTINATION_FIELD 1
#define MTIA_SE_UNARY_CB_DESTINATION_LOW 8
#define MTIA_SE_UNARY_CB_DESTINATION_BITS 8
#define MTIA_SE_UNARY_FUNCTION_FIELD 2
#define MTIA_SE_UNARY_FUNCTION_LOW 16
#define MTIA_SE_UNARY_FUNCTION_BITS 8
#define MTIA_SE_UNARY_TYPE_IN_FIELD 3
#define MTIA_SE_UNARY_TYPE_IN_LOW 24
#define MTIA_SE_UNARY_TYPE_IN_BITS 4
#define MTIA_SE_UNARY_TYPE_OUT_FIELD 4
#define MTIA_SE_UNARY_TYPE_OUT_LOW 28
#define MTIA_SE_UNARY_TYPE_OUT_BITS 4
#define MTIA_SE_UNARY_SOURCE_OFFSET_FIELD 5
#define MTIA_SE_UNARY_SOURCE_OFFSET_LOW 32
#define MTIA_SE_UNARY_SOURCE_OFFSET_BITS 32
#define MTIA_SE_UNARY_DESTINATION_OFFSET_FIELD 6
#define MTIA_SE_UNARY_DESTINATION_OFFSET_LOW 0
#define MTIA_SE_UNARY_DESTINATION_OFFSET_BITS 32
#define MTIA_SE_BINARY_CB_FIRST_FIELD 0
#define MTIA_SE_BINARY_CB_FIRST_LOW 0
#define MTIA_SE_BINARY_CB_FIRST_BITS 8
#define MTIA_SE_BINARY_CB_DESTINATION_FIELD 1
#define MTIA_SE_BINARY_CB_DESTINATION_LOW 8
#define MTIA_SE_BINARY_CB_DESTINATION_BITS 8
#define MTIA_SE_BINARY_OPERATION_FIELD 2
#define MTIA_SE_BINARY_OPERATION_LOW 16
#define MTIA_SE_BINARY_OPERATION_BITS 8
#define MTIA_SE_BINARY_TYPE_IN_FIELD 3
#define MTIA_SE_BINARY_TYPE_IN_LOW 24
#define MTIA_SE_BINARY_TYPE_IN_BITS 4
#define MTIA_SE_BINARY_TYPE_OUT_FIELD 4
#define MTIA_SE_BINARY_TYPE_OUT_LOW 28
#define MTIA_SE_BINARY_TYPE_OUT_BITS 4
#define MTIA_SE_BINARY_FIRST_OFFSET_FIELD 5
#define MTIA_SE_BINARY_FIRST_OFFSET_LOW 32
#define MTIA_SE_BINARY_FIRST_OFFSET_BITS 32
#define MTIA_SE_BINARY_DESTINATION_OFFSET_FIELD 6
#define MTIA_SE_BINARY_DESTINATION_OFFSET_LOW 0
#define MTIA_SE_BINARY_DESTINATION_OFFSET_BITS 32
#define MTIA_SE_BINARY_SECOND_OFFSET_FIELD 7
#define MTIA_SE_BINARY_SECOND_OFFSET_LOW 32
#define MTIA_SE_BINARY_SECOND_OFFSET_BITS 24
#define MTIA_SE_BINARY_CB_SECOND_FIELD 8
#define MTIA_SE_BINARY_CB_SECOND_LOW 56
#define MTIA_SE_BINARY_CB_SECOND_BITS 8
#define MTIA_SE_ROW_ACCUMULATE_CB_SOURCE_FIELD 0
#define MTIA_SE_ROW_ACCUMULATE_CB_SOURCE_LOW 0
#define MTIA_SE_ROW_ACCUMULATE_CB_SOURCE_BITS 8
#define MTIA_SE_ROW_ACCUMULATE_CB_DESTINATION_FIELD 1
#define MTIA_SE_ROW_ACCUMULATE_CB_DESTINATION_LOW 8
#define MTIA_SE_ROW_ACCUMULATE_CB_DESTINATION_BITS 8
#define MTIA_SE_ROW_ACCUMULATE_ACCUMULATE_FIELD 2
#define MTIA_SE_ROW_ACCUMULATE_ACCUMULATE_LOW 16
#define MTIA_SE_ROW_ACCUMULATE_ACCUMULATE_BITS 1
#define MTIA_SE_ROW_ACCUMULATE_TYPE_IN_FIELD 3
#define MTIA_SE_ROW_ACCUMULATE_TYPE_IN_LOW 24
#define MTIA_SE_ROW_ACCUMULATE_TYPE_IN_BITS 4
#define MTIA_SE_ROW_ACCUMULATE_TYPE_OUT_FIELD 4
#define MTIA_SE_ROW_ACCUMULATE_TYPE_OUT_LOW 28
#define MTIA_SE_ROW_ACCUMULATE_TYPE_OUT_BITS 4
#define MTIA_SE_ROW_ACCUMULATE_SOURCE_OFFSET_FIELD 5
#define MTIA_SE_ROW_ACCUMULATE_SOURCE_OFFSET_LOW 32
#define MTIA_SE_ROW_ACCUMULATE_SOURCE_OFFSET_BITS 32
#define MTIA_SE_ROW_ACCUMULATE_DESTINATION_OFFSET_FIELD 6
#define MTIA_SE_ROW_ACCUMULATE_DESTINATION_OFFSET_LOW 0
#define MTIA_SE_ROW_ACCUMULATE_DESTINATION_OFFSET_BITS 32
#define MTIA_MLU_TRANSPOSE_CB_SOURCE_FIELD 0
#define MTIA_MLU_TRANSPOSE_CB_SOURCE_LOW 0
#define MTIA_MLU_TRANSPOSE_CB_SOURCE_BITS 8
#define MTIA_MLU_TRANSPOSE_CB_DESTINATION_FIELD 1
#define MTIA_MLU_TRANSPOSE_CB_DESTINATION_LOW 8
#define MTIA_MLU_TRANSPOSE_CB_DESTINATION_BITS 8
#define MTIA_MLU_TRANSPOSE_SOURCE_OFFSET_FIELD 2
#define MTIA_MLU_TRANSPOSE_SOURCE_OFFSET_LOW 32
#define MTIA_MLU_TRANSPOSE_SOURCE_OFFSET_BITS 32
#define MTIA_MLU_TRANSPOSE_DESTINATION_OFFSET_FIELD 3
#define MTIA_MLU_TRANSPOSE_DESTINATION_OFFSET_LOW 0
#define MTIA_MLU_TRANSPOSE_DESTINATION_OFFSET_BITS 32
#define MTIA_MLU_COPY_CB_SOURCE_FIELD 0
#define MTIA_MLU_COPY_CB_SOURCE_LOW 0
#define MTIA_MLU_COPY_CB_SOURCE_BITS 8
#define MTIA_MLU_COPY_CB_DESTINATION_FIELD 1
#define MTIA_MLU_COPY_CB_DESTINATION_LOW 8
#define MTIA_MLU_COPY_CB_DESTINATION_BITS 8
#define MTIA_MLU_COPY_SOURCE_OFFSET_FIELD 2
#define MTIA_MLU_COPY_SOURCE_OFFSET_LOW 32
#define MTIA_MLU_COPY_SOURCE_OFFSET_BITS 32
#define MTIA_MLU_COPY_DESTINATION_OFFSET_FIELD 3
#define MTIA_MLU_COPY_DESTINATION_OFFSET_LOW 0
#define MTIA_MLU_COPY_DESTINATION_OFFSET_BITS 32

#define MTIA_PROTOCOL_VERSION 1
#define MTIA_HOST_NOP 0
#define MTIA_HOST_COPY_HOST_TO_DEVICE 1
#define MTIA_HOST_COPY_DEVICE_TO_HOST 2
#define MTIA_HOST_COPY_DEVICE_TO_DEVICE 3
#define MTIA_HOST_FILL 4
#define MTIA_HOST_LAUNCH 5
#define MTIA_HOST_GRAPH_LAUNCH 6
#define MTIA_HOST_WAIT 7
#define MTIA_HOST_SIGNAL 8
#define MTIA_HOST_BARRIER 9
#define MTIA_HOST_CREATE_CONTEXT 16
#define MTIA_HOST_DESTROY_CONTEXT 17
#define MTIA_HOST_ASSIGN_PAGES 18
#define MTIA_HOST_QUERY 19
#define MTIA_NOT_IN_A_PE 0xffffffffu
#define MTIA_TIMELINE_SEMAPHORES 1024
#define MTIA_JOB_ARGUMENT_WORDS 64
#define MTIA_GRAPH_MAGIC 0x4752544d
#define MTIA_GRAPH_SEGMENTS 8
#define MTIA_GRAPH_ARGUMENT_WORDS 32
#define MTIA_GRAPH_JOB_BARRIER 1
#define MTIA_BUNDLE_MAGIC 0x4246544d
#define MTIA_BUNDLE_VERSION 1
#define MTIA_BUNDLE_MANIFEST 1
#define MTIA_BUNDLE_CONTROL_FIRMWARE 2
#define MTIA_BUNDLE_PE_MONITOR 3
#define MTIA_BUNDLE_KERNEL 4
#define MTIA_BUNDLE_SIGNATURE 5
#define MTIA_KERNEL_NULL 0
#define MTIA_KERNEL_FULLY_CONNECTED 1
#define MTIA_KERNEL_EMBEDDING_BAG 2
#define MTIA_KERNEL_INTERACTION 3
#define MTIA_KERNEL_CONVERT 4
#define MTIA_KERNEL_UNARY 5
#define MTIA_KERNEL_COPY 6
#define MTIA_KERNEL_FIRST_EXTERNAL 256
#define MTIA_ACTIVATION_NONE 0
#define MTIA_ACTIVATION_RELU 1
#define MTIA_ACTIVATION_SIGMOID 2
#define MTIA_ACTIVATION_TANH 3
#define MTIA_RESULT_OK 0
#define MTIA_RESULT_BAD_GRID 1
#define MTIA_RESULT_BAD_ARGUMENT 2
#define MTIA_RESULT_INDEX_OUT_OF_RANGE 3
#define MTIA_RESULT_LOCAL_MEMORY 4

struct mtia_bundle_header {
  uint32_t magic;
  uint32_t version;
  uint64_t total_bytes;
  uint32_t section_count;
  uint32_t generations;
  uint32_t firmware_version;
  uint32_t protocol_version;
  uint64_t reserved[4];
};
_Static_assert(sizeof(struct mtia_bundle_header) == 64, "mtia_bundle_header");

struct mtia_bundle_section {
  uint32_t kind;
  uint32_t kernel_id;
  uint64_t offset;
  uint64_t bytes;
  uint8_t name[40];
  uint8_t sha256[32];
};
_Static_assert(sizeof(struct mtia_bundle_section) == 96, "mtia_bundle_section");

struct mtia_completion {
  uint32_t sequence;
  uint32_t status;
  uint64_t cookie;
  uint64_t device_ns;
  uint32_t jobs;
  uint32_t place;
  uint64_t cause;
  uint64_t pc;
  uint64_t value;
  uint32_t job_index;
  uint32_t kernel;
};
_Static_assert(sizeof(struct mtia_completion) == 64, "mtia_completion");

struct mtia_graph_header {
  uint32_t magic;
  uint32_t version;
  uint32_t job_count;
  uint32_t segment_count;
  uint64_t reserved[6];
};
_Static_assert(sizeof(struct mtia_graph_header) == 64, "mtia_graph_header");

struct mtia_graph_job {
  uint32_t kernel;
  uint32_t flags;
  uint8_t column;
  uint8_t row;
  uint8_t columns;
  uint8_t rows;
  uint32_t argument_words;
  uint64_t reserved[2];
  uint8_t segment[32];
  uint64_t arguments[32];
};
_Static_assert(sizeof(struct mtia_graph_job) == 320, "mtia_graph_job");

struct mtia_job_descriptor {
  uint64_t entry;
  uint32_t context;
  uint32_t kernel;
  uint32_t slot;
  uint32_t argument_words;
  uint8_t column;
  uint8_t row;
  uint8_t columns;
  uint8_t rows;
  uint32_t reserved;
  uint64_t reserved_words[4];
  uint64_t arguments[64];
};
_Static_assert(sizeof(struct mtia_job_descriptor) == 576, "mtia_job_descriptor");

struct mtia_se_table {
  uint32_t low;
  uint32_t high;
  uint32_t scale;
  uint32_t below;
  uint32_t above;
  uint32_t segments;
  uint32_t degree;
  uint32_t reserved;
};
_Static_assert(sizeof(struct mtia_se_table) == 32, "mtia_se_table");

struct mtia_submission {
  uint8_t opcode;
  uint8_t flags;
  uint16_t reserved;
  uint32_t deadline_us;
  uint64_t cookie;
  uint64_t a;
  uint64_t b;
  uint64_t c;
  uint64_t d;
  uint64_t reserved_tail[2];
};
_Static_assert(sizeof(struct mtia_submission) == 64, "mtia_submission");

struct mtia_convert_arguments {
  uint64_t input;
  uint64_t output;
  uint32_t rows;
  uint32_t elements;
  uint32_t input_stride;
  uint32_t output_stride;
  uint32_t input_type;
  uint32_t output_type;
  uint32_t function;
  uint32_t pad;
};
_Static_assert(sizeof(struct mtia_convert_arguments) == 48, "mtia_convert_arguments");

struct mtia_copy_arguments {
  uint64_t input;
  uint64_t output;
  uint32_t rows;
  uint32_t row_bytes;
  uint64_t input_stride;
  uint64_t output_stride;
  uint64_t reserved;
};
_Static_assert(sizeof(struct mtia_copy_arguments) == 48, "mtia_copy_arguments");

struct mtia_embedding_bag_arguments {
  uint64_t descriptors;
  uint64_t tables;
  uint64_t inputs;
  uint64_t output;
  uint32_t table_count;
  uint32_t batch;
  uint32_t output_stride;
  uint32_t type;
  uint32_t elements;
  uint32_t sample_block;
  uint64_t reserved;
};
_Static_assert(sizeof(struct mtia_embedding_bag_arguments) == 64, "mtia_embedding_bag_arguments");

struct mtia_embedding_table {
  uint64_t table_offset;
  uint64_t indices_offset;
  uint64_t output_offset;
  uint64_t rows;
  uint32_t bag_length;
  uint32_t row_bytes;
  uint64_t reserved[3];
};
_Static_assert(sizeof(struct mtia_embedding_table) == 64, "mtia_embedding_table");

struct mtia_fully_connected_arguments {
  uint64_t input;
  uint64_t weight;
  uint64_t bias;
  uint64_t output;
  uint32_t m;
  uint32_t n;
  uint32_t k_bytes;
  uint32_t input_stride;
  uint32_t output_stride;
  uint32_t output_columns;
  uint32_t type;
  uint32_t output_type;
  uint32_t activation;
  uint32_t row_tile;
  uint32_t column_tile;
  uint32_t reserved;
  uint64_t reserved_word;
};
_Static_assert(sizeof(struct mtia_fully_connected_arguments) == 88, "mtia_fully_connected_arguments");

struct mtia_interaction_arguments {
  uint64_t input;
  uint64_t output;
  uint64_t selection;
  uint32_t batch;
  uint32_t features;
  uint32_t elements;
  uint32_t feature_stride;
  uint32_t input_stride;
  uint32_t output_stride;
  uint32_t prefix_elements;
  uint32_t prefix_feature;
  uint32_t selected_count;
  uint32_t type;
  uint64_t reserved;
};
_Static_assert(sizeof(struct mtia_interaction_arguments) == 72, "mtia_interaction_arguments");

/* Indexed by generation number - 1. */
struct mtia_specification {
  double generation_number;
  double clock_mhz;
  double grid_width;
  double grid_height;
  double harts;
  double control_harts;
  double local_memory_bytes;
  double local_memory_gbs;
  double sram_bytes;
  double sram_gbs;
  double lpddr_bytes;
  double lpddr_maximum_bytes;
  double lpddr_gbs;
  double pcie_gbs;
  double context_sram_bytes;
  double descriptor_sram_bytes;
  double int8_tops;
  double fp16_tflops;
  double se_elements_per_cycle;
  double dpe_bytes_of_kper_cycle;
  double row_accumulate_rows;
  double dma_alignment;
  double broadcast_dispatch;
  double job_launch_ns;
  double job_replace_ns;
  double tdp_watts;
};
#define MTIA_SPECIFICATIONS { \
  {.generation_number = 1, .clock_mhz = 800, .grid_width = 8, .grid_height = 8, .harts = 2, .control_harts = 1, .local_memory_bytes = 131072, .local_memory_gbs = 400, .sram_bytes = 134217728, .sram_gbs = 800, .lpddr_bytes = 68719476736, .lpddr_maximum_bytes = 137438953472, .lpddr_gbs = 176, .pcie_gbs = 16, .context_sram_bytes = 4194304, .descriptor_sram_bytes = 4194304, .int8_tops = 102.4, .fp16_tflops = 51.2, .se_elements_per_cycle = 32, .dpe_bytes_of_kper_cycle = 32, .row_accumulate_rows = 32, .dma_alignment = 32, .broadcast_dispatch = 0, .job_launch_ns = 5000, .job_replace_ns = 2500, .tdp_watts = 25}, \
  {.generation_number = 2, .clock_mhz = 1350, .grid_width = 8, .grid_height = 8, .harts = 2, .control_harts = 4, .local_memory_bytes = 393216, .local_memory_gbs = 1000, .sram_bytes = 268435456, .sram_gbs = 2700, .lpddr_bytes = 68719476736, .lpddr_maximum_bytes = 137438953472, .lpddr_gbs = 204.8, .pcie_gbs = 32, .context_sram_bytes = 4194304, .descriptor_sram_bytes = 4194304, .int8_tops = 354, .fp16_tflops = 177, .se_elements_per_cycle = 32, .dpe_bytes_of_kper_cycle = 64, .row_accumulate_rows = 128, .dma_alignment = 1, .broadcast_dispatch = 1, .job_launch_ns = 1000, .job_replace_ns = 500, .tdp_watts = 85}, \
}

#endif
