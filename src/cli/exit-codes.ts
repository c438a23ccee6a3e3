/** Exit codes of every command. */
export const EXIT = {
  OK: 0,
  /** A verified case failed. */
  VERIFICATION_FAILED: 1,
  /** A program of `fw exec` did not pass. */
  PROGRAM_FAILED: 1,
  /** Wrong usage, an input that cannot be used, or a device that failed. */
  BAD_INPUT: 2,
  /** 128 + SIGINT, as shells have it. */
  INTERRUPTED: 130,
  TERMINATED: 143,
} as const;

const MEANING = new Map<number, string>([
  [EXIT.OK, 'done'],
  [EXIT.VERIFICATION_FAILED, 'a verified case or program failed'],
  [EXIT.BAD_INPUT, 'wrong usage, bad input or device error: one sentence on stderr says which'],
  [EXIT.INTERRUPTED, 'interrupted'],
]);

/** The last lines of a --help. */
export function exitCodeHelp(codes: readonly number[] = [EXIT.OK, EXIT.BAD_INPUT, EXIT.INTERRUPTED]): string {
  return `\nExit codes:\n${codes.map((code) => `  ${String(code).padEnd(4)} ${MEANING.get(code) ?? ''}`).join('\n')}`;
}
