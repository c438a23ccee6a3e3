/** Commands that the command processor does itself: circular buffers, semaphores, barriers. */
import { CB, rs1, rs2, type UnitCommand } from './command.js';

/** Of the command processor. */
export const COMMAND_PROCESSOR_COMMANDS: readonly UnitCommand[] = [
  {
    name: 'CB_INIT',
    code: 0x01,
    unit: 'CP',
    doc: 'INIT: places a circular buffer in local memory and empties it.',
    fields: [
      rs1('cb', 0, 8, '0..31'),
      rs1('base', 32, 32, 'multiple of 32, inside local memory'),
      rs2('bytes', 0, 32, 'multiple of 32, not zero, inside local memory'),
    ],
  },
  {
    name: 'CB_PUSH',
    code: 0x02,
    unit: 'CP',
    doc: 'Moves the write pointer: data written at offsets becomes elements. Waits for space.',
    fields: [rs1('cb', 0, 8, CB), rs2('bytes', 0, 32, 'at most the size of the buffer')],
  },
  {
    name: 'CB_POP',
    code: 0x03,
    unit: 'CP',
    doc: 'POP: moves the read pointer: elements become space. Waits for the elements.',
    fields: [rs1('cb', 0, 8, CB), rs2('bytes', 0, 32, 'at most the size of the buffer')],
  },
  {
    name: 'CB_WAIT_DATA',
    code: 0x04,
    unit: 'CP',
    doc: 'Stalls the hart until its earlier commands on the buffer are done and that many bytes can be read; rd = local address of the read pointer.',
    fields: [rs1('cb', 0, 8, CB), rs2('bytes', 0, 32, 'at most the size of the buffer')],
  },
  {
    name: 'CB_WAIT_SPACE',
    code: 0x05,
    unit: 'CP',
    doc: 'Stalls the hart until its earlier commands on the buffer are done and that many bytes can be written; rd = local address of the write pointer.',
    fields: [rs1('cb', 0, 8, CB), rs2('bytes', 0, 32, 'at most the size of the buffer')],
  },
  {
    name: 'FENCE',
    code: 0x06,
    unit: 'CP',
    doc: 'Stalls the hart until all of its earlier commands are done.',
    fields: [],
  },
  {
    name: 'SEMAPHORE_POST',
    code: 0x07,
    unit: 'CP',
    doc: 'Adds to a semaphore of this PE, at once.',
    fields: [rs1('semaphore', 0, 8, '0..15'), rs2('value', 0, 32, 'any')],
  },
  {
    name: 'SEMAPHORE_WAIT',
    code: 0x08,
    unit: 'CP',
    doc: 'Stalls the hart until the semaphore is at least value, then subtracts it.',
    fields: [rs1('semaphore', 0, 8, '0..15'), rs2('value', 0, 32, 'any')],
  },
  {
    name: 'ATOMIC_ADD',
    code: 0x09,
    unit: 'CP',
    doc: 'Adds to a semaphore of a PE of the job. With flag set the hart stalls for the reply: rd = the value before.',
    fields: [
      rs1('semaphore', 0, 8, '0..13'),
      rs1('flag', 8, 1, '1: wait for the reply'),
      rs1('column', 16, 8, "of the PE, from the corner of the job's rectangle"),
      rs1('row', 24, 8, "of the PE, from the corner of the job's rectangle; its part of the job has not ended"),
      rs2('value', 0, 64, 'any, modulo 2^64'),
    ],
  },
  {
    name: 'ATOMIC_WAIT',
    code: 0x0a,
    unit: 'CP',
    doc: 'Stalls the hart until a semaphore of a PE of the job is at least value; rd = what it was. With flag set value is subtracted from it in the same step.',
    fields: [
      rs1('semaphore', 0, 8, '0..13'),
      rs1('flag', 8, 1, '1: subtract'),
      rs1('column', 16, 8, "of the PE, from the corner of the job's rectangle"),
      rs1('row', 24, 8, "of the PE, from the corner of the job's rectangle; its part of the job has not ended"),
      rs2('value', 0, 64, 'any, unsigned'),
    ],
  },
  {
    name: 'BARRIER',
    code: 0x0b,
    unit: 'CP',
    doc: 'Stalls the hart until one hart of every PE of the scope stands at a barrier of this scope.',
    fields: [rs1('scope', 0, 8, 'see BARRIER_SCOPE')],
  },
];
