/** What commands print: text for people, or exactly one JSON object for scripts. */

export function printLine(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** JSON has no NaN and no infinity: they become null, as JSON.stringify has it. */
export function printJson(value: object): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}
