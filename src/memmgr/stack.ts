/** Where in the program something was called. Taking a stack is cheap; its text is made when somebody asks for it. */

/** As in torch's snapshots. */
export interface StackFrame {
  /** File, as the stack of an Error names it. */
  readonly filename: string;
  /** Line of the file, from 1. */
  readonly line: number;
  /** Function; "<anonymous>" where it has no name. */
  readonly name: string;
}

const FRAME = /^\s*at (?:(.*?) \()?(.*?):(\d+):\d+\)?$/;

/** A stack that is turned into frames only when somebody asks for them. */
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
