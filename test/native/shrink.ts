/** Makes a failing list shorter. */

/**
 * A sublist of items that still fails and, unless the time was too short, from which no single item can be left out. Leaves out
 * runs of half the length, a quarter, and so on; fails is asked once for each.
 */
export function shrink<T>(
  items: readonly T[],
  fails: (items: readonly T[]) => boolean,
  milliseconds: number,
): readonly T[] {
  const deadline = performance.now() + milliseconds;
  let kept = items;
  let length = Math.ceil(kept.length / 2);
  while (length >= 1 && performance.now() < deadline) {
    let shorter = false;
    for (let at = 0; at < kept.length && performance.now() < deadline; ) {
      const candidate = [...kept.slice(0, at), ...kept.slice(at + length)];
      if (fails(candidate)) {
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
