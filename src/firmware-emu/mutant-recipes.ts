/**
 * Control firmware with one line changed, for the conformance suite's own test: what it must catch. The change is made
 * while the bundle is built, so the sources stay whole.
 */

/** A source of CONTROL_FIRMWARE in which `from`, which occurs once, becomes `to`. */
export interface SourceChange {
  readonly source: string;
  readonly from: string;
  readonly to: string;
}

/** How one of them is built. */
export interface MutantRecipe extends SourceChange {
  readonly name: string;
  /** The defect, in a sentence. */
  readonly doc: string;
  readonly path: string;
}

function mutant(name: string, doc: string, file: string, from: string, to: string): MutantRecipe {
  return { name, doc, source: `firmware/control/${file}`, from, to, path: `firmware/bundle/mutants/${name}.bundle` };
}

/** Firmware with one defect each, which the conformance suite must find. */
export const MUTANT_BUNDLES: readonly MutantRecipe[] = [
  mutant(
    'pages-not-scrubbed',
    'pages keep the data of their former owner',
    'page_owners.c',
    'if (owners->owner[page] != 0 && owners->owner[page] != (USED_BEFORE | context)) return true;',
    '',
  ),
  mutant(
    'arguments-unchecked',
    'launch arguments may lie in memory of anybody',
    'page_owners.c',
    'if (owners->owner[page] != context && owners->owner[page] != READABLE_BY_ALL) return false;',
    '',
  ),
  mutant(
    'semaphore-falls',
    'a signal may lower a semaphore',
    'semaphores.c',
    'if (submission->b > semaphore->value) semaphore->value = submission->b;',
    'semaphore->value = submission->b;',
  ),
  mutant(
    'wait-is-late',
    'a wait for the present value waits for the next',
    'semaphores.c',
    'semaphore->value >= submission->b) return outcome',
    'semaphore->value > submission->b) return outcome',
  ),
  mutant(
    'administration-for-all',
    'any queue may give administration commands',
    'commands.c',
    'if (scope == SCOPE_ADMINISTRATION) return refuse(queue, MTIA_ERROR_INVALID_COMMAND, queue->submission.opcode);',
    '',
  ),
  mutant(
    'context-keeps-its-pages',
    'the pages of a context outlive it',
    'contexts.c',
    'const uint32_t error = page_owners_take_back_all(&control->owners, (uint32_t)context);',
    'const uint32_t error = MTIA_ERROR_OK;',
  ),
  mutant(
    'deadline-ignored',
    'a deadline never expires',
    'timers.c',
    'if (queue->running == NULL || queue->deadline == 0 || queue->deadline > time) continue;',
    'continue;',
  ),
  mutant(
    'skips-a-row',
    'without broadcast the last row of a rectangle is handed no job',
    'jobs.c',
    'row < (uint32_t)descriptor->row + descriptor->rows; row++',
    'row < (uint32_t)descriptor->row + descriptor->rows - (descriptor->rows > 1); row++',
  ),
  mutant(
    'wrong-cookie',
    'a completion carries the cookie of another command',
    'queues.c',
    '.cookie = queue->submission.cookie,',
    '.cookie = queue->submission.cookie ^ 1,',
  ),
  mutant(
    'memory-survives-reset',
    'memory of before a reset is given away as it is',
    'page_owners.c',
    'if (owners->owner[page] == 0 && owners->was_reset) return true;',
    '',
  ),
  mutant(
    'abort-lets-run',
    'an abort leaves the command under way alone',
    'aborts.c',
    'if (met_running) abort_running(control, target);',
    '',
  ),
  mutant(
    'abort-hits-neighbour',
    'an abort names the command behind',
    'aborts.c',
    'abort_later(target, first + i);',
    'abort_later(target, first + i + 1);',
  ),
  mutant(
    'priorities-ignored',
    'every queue has the lowest priority',
    'queues.c',
    'queue->priority = mmio_read32(PRIORITY(number)) % MTIA_LIMIT_QUEUE_PRIORITIES;',
    'queue->priority = 0;',
  ),
  mutant(
    'low-priority-starves',
    'a queue that is passed over stays passed over',
    'queues.c',
    'if (++queue->passed_over >= PASSED_OVER_MOST) queues->starved |= 1u << queue->number;',
    'queue->passed_over++;',
  ),
  mutant(
    'semaphores-shared',
    'a signal wakes waits of every context',
    'semaphores.c',
    'if (waiter->context != context || waiter->submission.a != number) continue;',
    'if (waiter->submission.a != number) continue;',
  ),
  mutant(
    'semaphores-outlive-context',
    'a new context finds the semaphores of the last one',
    'semaphores.c',
    'memset(control->semaphores.table[context], 0, sizeof control->semaphores.table[context]);',
    '',
  ),
  mutant(
    'recover-ignored',
    'a queue that failed stays failed',
    'semaphores.c',
    'queue->failed = false;\n  queue->aborting = false;',
    '',
  ),
  mutant(
    'failure-not-carried',
    'what waits for failed work runs',
    'semaphores.c',
    'else if (queue->failed) poison(semaphore, submission->b, NEVER);',
    '',
  ),
  mutant(
    'failure-carried-to-all',
    'a failure fails waits for values before it as well',
    'semaphores.c',
    'return semaphore->failed_from != 0 && value >= semaphore->failed_from && value < semaphore->failed_to;',
    'return semaphore->failed_from != 0;',
  ),
  mutant(
    'graph-runs-ahead',
    'a job of a graph does not wait for the jobs before it',
    'graphs.c',
    'if ((job.flags & FLAGS) != 0 && launch->slots != 0) return MTIA_ERROR_OK;',
    '',
  ),
  mutant(
    'graph-first-buffer',
    'a graph takes its first buffer for every other',
    'graphs.c',
    'launch->segments[segment - 1]',
    'launch->segments[0]',
  ),
  mutant(
    'wrong-node',
    'a failed graph names the job behind',
    'jobs.c',
    '.index = launch->job_index,',
    '.index = launch->job_index + 1,',
  ),
  mutant(
    'no-deadlock-detection',
    'harts that wait for each other are left waiting',
    'jobs.c',
    'return still_stuck ? MTIA_ERROR_DEADLOCK : MTIA_ERROR_OK;',
    'return MTIA_ERROR_OK;',
  ),
  mutant(
    'decompresses-everywhere',
    'a chip that cannot decompress is said to',
    'commands.c',
    'static bool can_decompress(const struct chip *chip) { return chip->gunzip_mbs != 0; }',
    'static bool can_decompress(const struct chip *chip) { return chip != NULL; }',
  ),
  mutant(
    'decompresses-without-end',
    'a copy that decompresses writes more than its destination takes',
    'copies.c',
    '.destination_bytes = submission->d,',
    '.destination_bytes = UINT64_MAX,',
  ),
  mutant(
    'decompressed-length-untold',
    'the completion of a copy that decompresses says nothing of its length',
    'copies.c',
    'if (error == MTIA_ERROR_OK && decompresses(copy)) queue->completion.value = copy->produced;',
    '',
  ),
  mutant(
    'lost-words-pass',
    'arguments and graphs are taken as they were before where LPDDR has lost a word of them',
    'context_memory.c',
    'return lost == 0 ? MTIA_ERROR_OK : refuse(queue, MTIA_ERROR_ECC_UNCORRECTABLE, lost);',
    '(void)lost;\n  return MTIA_ERROR_OK;',
  ),
  mutant(
    'lost-kernel-kills',
    'the firmware traps where LPDDR has lost a word of a kernel',
    'kernels.c',
    'if (guarded_check(file, (kernel->section->bytes + 7) / 8) != 0) return MTIA_ERROR_ECC_UNCORRECTABLE;',
    '(void)file;',
  ),
  mutant(
    'hardware-error-unnamed',
    'a kernel that reads a word that LPDDR has lost is said to have trapped',
    'failures.c',
    '    [MTIA_EXCEPTION_HARDWARE_ERROR] = MTIA_ERROR_ECC_UNCORRECTABLE,\n',
    '',
  ),
];
