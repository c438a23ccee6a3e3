/** The one hardware description: specifications, memory map, registers, commands, structures, error codes. */
export * from './command-registers.js';
export * from './error-codes.js';
export * from './graph-image.js';
export * from './kernels.js';
export * from './layout.js';
export * from './memory-map.js';
export * from './not-modelled.js';
export * from './protocol.js';
export * from './published-figures.js';
export * from './rectangle.js';
export * from './register-values.js';
export * from './registers.js';
export * from './specification.js';
export * from './unit-commands.js';
export * from './unit-operands.js';
export * from './v1-limits.js';
