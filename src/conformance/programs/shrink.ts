/** Makes a failing program shorter. */

/**
 * A part of the program that still fails, and from which no single step can be left out unless the time was too short.
 * Leaves out runs of half the length, a quarter, and so on; `fails` is asked once for each.
 */
export async function shrink<T>(
  program: readonly T[],
  fails: (program: readonly T[]) => boolean | Promise<boolean>,
  milliseconds: number,
): Promise<readonly T[]> {
  const deadline = performance.now() + milliseconds;
  let kept = program;
  let length = Math.ceil(kept.length / 2);
  while (length >= 1 && performance.now() < deadline) {
    let shorter = false;
    for (let at = 0; at < kept.length && performance.now() < deadline; ) {
      const candidate = [...kept.slice(0, at), ...kept.slice(at + length)];
      if (await fails(candidate)) {
        kept = candidate;
        shorter = true;
      } else {
        at += length;
      }
    }
    if (!shorter && length === 1) break;
    length = shorter ? Math.min(length, Math.ceil(kept.length / 2)) : Math.floor(length / 2);
  }
  return kept;
}
