/** A progress bar on stderr where a person watches; nothing at all elsewhere. */
import { SingleBar } from 'cli-progress';

export interface Progress {
  /** The next of the announced steps begins. */
  step(label: string): void;
  /** Prints to stdout without tearing the bar. */
  around(print: () => void): void;
  stop(): void;
}

const SILENT: Progress = { step: () => undefined, around: (print) => print(), stop: () => undefined };

export function startProgress(title: string, steps: number): Progress {
  if (!process.stderr.isTTY || steps < 2) return SILENT;
  const bar = new SingleBar({
    format: `${title} {bar} {value}/{total} {label}`,
    stream: process.stderr,
    clearOnComplete: true,
    hideCursor: true,
    barsize: 24,
  });
  bar.start(steps, 0, { label: '' });
  let done = -1;
  return {
    step(label) {
      done += 1;
      bar.update(done, { label });
    },
    around(print) {
      process.stderr.write('\r\x1b[K');
      print();
      bar.render();
    },
    stop: () => bar.stop(),
  };
}
