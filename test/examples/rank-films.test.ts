import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '..', '..');
const run = promisify(execFile);

describe('the ranking example', () => {
  it('prints the ten best films with their real ratings, and what the request took', async () => {
    const { stdout, stderr } = await run(process.execPath, [join(ROOT, 'dist', 'examples', 'rank-films.js')]);
    expect(stderr).toBe('');
    const rows = stdout.split('\n').filter((line) => /^│\s*\d+\s*│/.test(line));
    const cells = rows.map((row) => row.split('│').map((cell) => cell.trim()));
    expect(cells.map((row) => Number(row[1]))).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);

    const films = JSON.parse(readFileSync(join(ROOT, 'examples', 'films-dlrm', 'films.json'), 'utf8')) as {
      readonly title: string;
      readonly year: string;
      readonly imdb: number | null;
    }[];
    for (const [, , title, year, , imdb] of cells) {
      const same = films.filter((film) => film.title === title && film.year === year);
      expect(same.map((film) => String(film.imdb ?? 'unrated'))).toContain(imdb);
    }
    const scores = cells.map((row) => Number(row[4]));
    expect(scores).toEqual([...scores].sort((a, b) => b - a));

    expect(stdout).toMatch(/^wall time +[\d.]+ ms for 3200 films$/m);
    expect(stdout).toMatch(/^device time +[\d.]+ us$/m);
    expect(stdout).toMatch(/^jobs launched +[1-9]\d*$/m);
    const difference = /^largest difference from PyTorch +([\d.e+-]+)$/m.exec(stdout)?.[1];
    expect(Number(difference)).toBeLessThan(2e-2);
    expect(Number(difference)).toBeGreaterThan(0);
  });
});
