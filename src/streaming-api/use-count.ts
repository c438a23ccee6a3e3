/**
 * Counts the commands that use a piece of memory. Giving the memory back waits for the last of them, so that free()
 * right after an enqueue is safe.
 */
export class UseCount {
  #count = 0;
  #release: (() => void) | undefined;

  begin(): void {
    this.#count++;
  }

  readonly end = (): void => {
    this.#count--;
    this.#releaseWhenIdle();
  };

  /** Calls `release` as soon as no command uses the memory. */
  whenIdle(release: () => void): void {
    this.#release = release;
    this.#releaseWhenIdle();
  }

  #releaseWhenIdle(): void {
    if (this.#count > 0 || this.#release === undefined) return;
    const release = this.#release;
    this.#release = undefined;
    release();
  }
}
