/**
 * A ranking service over HTTP: `curl 'localhost:8080/rank?from=1980&until=1990'` answers with the ten best films of those
 * years. Requests of many clients run together in batches; SIGTERM and Ctrl-C answer what was accepted and end.
 */
import { readFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import { fileURLToPath } from 'node:url';
import { createExecutor, MtiaError, type TensorData, typedArrayOf } from 'mtia-runtime';
import { readTensorProto } from 'mtia-runtime/compiler';
import type { Film } from './print-ranking.js';

const MOST_FILMS = 256;
const SHOWN = 10;
/** Statuses of HTTP by error code: the others are the service's own fault. */
const STATUS: Readonly<Record<string, number>> = { EXECUTOR_FULL: 503, DEVICE_CLOSED: 503, DEADLINE_EXCEEDED: 504 };

const folder = fileURLToPath(new URL('../../examples/films-dlrm/', import.meta.url));
const films: readonly Film[] = JSON.parse(readFileSync(`${folder}films.json`, 'utf8'));
const executor = await createExecutor(`${folder}model.pt2`, { maxBatch: MOST_FILMS, maxDelay: 1, deadlineMs: 1000 });

// Features of every film, by input of the model.
const features = executor.inputs.map(({ name, shape }, index) => {
  const { type, data } = readTensorProto(readFileSync(`${folder}test_data_set_0/input_${index}.pb`));
  const width = shape.slice(1).reduce((product, size) => product * size, 1);
  return { name, width, values: typedArrayOf(type, data) };
});

/** The inputs of a request: one row for each film. */
function rowsOf(chosen: readonly number[]): Record<string, TensorData> {
  const entries = features.map(({ name, width, values }) => {
    const rows = values.slice(0, chosen.length * width);
    for (const [row, film] of chosen.entries()) {
      rows.set(values.subarray(film * width, (film + 1) * width) as never, row * width);
    }
    return [name, rows] as const;
  });
  return Object.fromEntries(entries);
}

async function rank(from: number, until: number, signal: AbortSignal): Promise<unknown> {
  const inYears = films.flatMap(({ year }, index) => (Number(year) >= from && Number(year) <= until ? [index] : []));
  const chosen = inYears.slice(0, MOST_FILMS);
  if (chosen.length === 0) return { films: [] };
  const { outputs, wallMs, batchRows } = await executor.run(rowsOf(chosen), { signal });
  const scores = outputs[executor.outputs[0]?.name ?? ''] ?? [];
  const scored = chosen.map((film, row) => ({ title: films[film]?.title, score: Number(scores[row]) }));
  return { films: scored.sort((a, b) => b.score - a.score).slice(0, SHOWN), wallMs, batchRows };
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`);
}

const server = createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
  if (pathname === '/stats') return answer(response, 200, executor.stats());
  if (pathname !== '/rank') return answer(response, 404, { error: 'ask for /rank?from=YEAR&until=YEAR, or /stats' });
  // A client that hangs up is not ranked for.
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  rank(Number(searchParams.get('from') ?? 0), Number(searchParams.get('until') ?? 9999), gone.signal).then(
    (ranking) => answer(response, 200, ranking),
    (error) => answer(response, error instanceof MtiaError ? (STATUS[error.code] ?? 500) : 500, { error: `${error}` }),
  );
});

server.listen(Number(process.env.PORT ?? 8080), () => console.log('serving', server.address()));
async function end(): Promise<void> {
  server.close();
  await executor.close();
}

for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, end);
server.once('error', async ({ message }) => {
  console.error(message);
  process.exitCode = 1;
  await end();
});
