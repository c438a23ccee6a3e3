/** Where in the program something was called. Taking a stack is cheap; its text is made when somebody asks for it. */

/** As in torch's snapshots. */
export interface StackFrame {
  readonly filename: string;
  readonly line: number;
  readonly name: string;
}

const FRAME = /^\s*at (?:(.*?) \()?(.*?):(\d+):\d+\)?$/;

export class StackRecord {
  readonly #holder: { stack?: string } = {};

  /** @param hidden the frames down to this function are left out */
  constructor(hidden: (...args: never[]) => unknown) {
    Error.captureStackTrace(this.#holder, hidden);
  }

  /** As Error.stack prints it, without a first line. */
  get text(): string {
    return (this.#holder.stack ?? '').split('\n').slice(1).join('\n');
  }

  get frames(): readonly StackFrame[] {
    return this.text.split('\n').flatMap((line) => {
      const match = FRAME.exec(line);
      if (match === null) return [];
      return [{ filename: match[2] ?? '', line: Number(match[3]), name: match[1] ?? '' }];
    });
  }
}
