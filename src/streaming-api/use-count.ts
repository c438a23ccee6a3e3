/**
 * Counts the commands that use a piece of memory. Giving the memory back waits for the last of them, so that free()
 * right after an enqueue is safe.
 */
export class UseCount {
  #count = 0;
  /** The only stream whose commands use the memory; undefined where several do. */
  #user: object | undefined;
  #release: (() => void) | undefined;

  /** @param user the stream of the command */
  begin(user?: object): void {
    if (this.#count++ === 0) this.#user = user;
    else if (this.#user !== user) this.#user = undefined;
  }

  get idle(): boolean {
    return this.#count === 0;
  }

  /** Whether no command of anybody else uses the memory. */
  onlyBy(user: object): boolean {
    return this.idle || this.#user === user;
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
