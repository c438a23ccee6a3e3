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
];
