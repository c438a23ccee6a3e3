/** Predicted over published, row by row on a logarithmic axis, as an SVG. */

export interface ChartRow {
  readonly group: string;
  readonly name: string;
  readonly ratio: number;
}

const ROW_HEIGHT = 14;
const LABEL_WIDTH = 380;
const PLOT_WIDTH = 480;
const TOP = 50;
/** The axis reaches from one over this to this; what lies beyond stands at its end. */
const LIMIT = 8;
const TICKS = [1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8] as const;
/** Within it a row counts as met. */
const BAND = 1.15;

const MET = '#2a7f4f';
const MISSED = '#b5532a';

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

function place(ratio: number): number {
  const clamped = Math.min(LIMIT, Math.max(1 / LIMIT, ratio));
  return LABEL_WIDTH + (PLOT_WIDTH * (Math.log(clamped) + Math.log(LIMIT))) / (2 * Math.log(LIMIT));
}

const text = (x: number, y: number, anchor: 'start' | 'middle' | 'end', words: string): string =>
  `<text x="${x.toFixed(1)}" y="${y}" text-anchor="${anchor}">${escaped(words)}</text>`;

function axis(bottom: number): string[] {
  const lines = TICKS.map((tick) => {
    const x = place(tick).toFixed(1);
    return `<line x1="${x}" x2="${x}" y1="${TOP}" y2="${bottom}" stroke="${tick === 1 ? '#444' : '#ddd'}"/>`;
  });
  const left = place(1 / BAND);
  const width = (place(BAND) - left).toFixed(1);
  const band = `<rect x="${left.toFixed(1)}" y="${TOP}" width="${width}" height="${bottom - TOP}" fill="#e4f1e8"/>`;
  const labels = TICKS.map((tick) => text(place(tick), TOP - 6, 'middle', tick < 1 ? `1/${1 / tick}` : `${tick}`));
  return [band, ...lines, ...labels];
}

function mark({ group, name, ratio }: ChartRow, index: number): string[] {
  const y = TOP + (index + 1) * ROW_HEIGHT;
  const met = ratio <= BAND && ratio >= 1 / BAND;
  return [
    text(LABEL_WIDTH - 12, y, 'end', `${group}: ${name}`),
    `<circle cx="${place(ratio).toFixed(1)}" cy="${y - 4}" r="4" fill="${met ? MET : MISSED}"><title>${escaped(name)}: ${ratio.toFixed(2)}</title></circle>`,
  ];
}

export function chartOf(rows: readonly ChartRow[]): string {
  const bottom = TOP + (rows.length + 1) * ROW_HEIGHT;
  const width = LABEL_WIDTH + PLOT_WIDTH + 30;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${bottom + 10}" font-family="sans-serif" font-size="10">`,
    '<rect width="100%" height="100%" fill="white"/>',
    text(LABEL_WIDTH, 18, 'start', 'Predicted over published speed (1 is exact; the band is ±15 %)'),
    ...axis(bottom),
    ...rows.flatMap(mark),
    '</svg>',
    '',
  ].join('\n');
}
