/** Prints what rank-films.ts found. */
import Table from 'cli-table3';
import type { RunResult } from 'mtia-runtime';

export interface Film {
  readonly title: string;
  readonly year: string;
  /** Absent where the film has no rating. */
  readonly imdb: number | null;
}

export interface Ranking {
  readonly films: readonly Film[];
  /** P(IMDB rating >= 7) by film. */
  readonly scores: ArrayLike<number | bigint> | undefined;
  /** The same as PyTorch computes it. */
  readonly expected: ArrayLike<number | bigint>;
  readonly answer: RunResult;
}

const SHOWN = 10;
const PLAIN = { head: [], border: [] };
const NO_LINES_BETWEEN_ROWS = { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' };

export function printRanking({ films, scores, expected, answer }: Ranking): void {
  const scored = Array.from(scores ?? [], Number);
  const best = scored
    .map((score, index) => ({ score, film: films[index] }))
    .sort((a, b) => b.score - a.score)
    .slice(0, SHOWN);
  const table = new Table({ head: ['', 'title', 'year', 'score', 'IMDB'], chars: NO_LINES_BETWEEN_ROWS, style: PLAIN });
  for (const [rank, { film, score }] of best.entries()) {
    table.push([rank + 1, film?.title ?? '', film?.year ?? '', score.toFixed(4), film?.imdb ?? 'unrated']);
  }
  const largest = scored.reduce((worst, score, index) => Math.max(worst, Math.abs(score - Number(expected[index]))), 0);
  console.log(table.toString());
  console.log(`wall time      ${answer.wallMs.toFixed(2)} ms for ${scored.length} films`);
  console.log(`device time    ${answer.deviceUs.toFixed(1)} us`);
  console.log(`jobs launched  ${answer.jobs}`);
  console.log(`largest difference from PyTorch  ${largest.toExponential(2)}`);
}
