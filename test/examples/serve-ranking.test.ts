/** The service of examples/serve-ranking.ts, as a process of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const SCRIPT = join(import.meta.dirname, '..', '..', 'dist', 'examples', 'serve-ranking.js');

describe('the serving example', () => {
  it('ranks for many clients at once, and ends by itself when it is told to', async () => {
    const server = spawn(process.execPath, [SCRIPT], { env: { ...process.env, PORT: '0' } });
    let errors = '';
    server.stderr.on('data', (text) => {
      errors += text;
    });
    const exited = once(server, 'exit');
    const [line] = await Promise.race([once(server.stdout, 'data'), exited]);
    const port = /port: (\d+)/.exec(String(line))?.[1];
    expect(port, errors).toBeDefined();
    const ask = (path: string) => fetch(`http://localhost:${port}${path}`);
    const decades = [1960, 1970, 1980, 1990, 2000, 1960, 1970, 1980, 1990, 2000];
    const answers = await Promise.all(decades.map((from) => ask(`/rank?from=${from}&until=${from + 9}`)));
    expect(answers.map(({ status }) => status)).toEqual(decades.map(() => 200));
    const rankings = await Promise.all(answers.map((answer) => answer.json() as Promise<{ films: unknown[] }>));
    expect(rankings[0]?.films).toHaveLength(10);
    // The same years, in other batches: the same scores.
    for (let decade = 0; decade < 5; decade++) expect(rankings[decade + 5]?.films).toEqual(rankings[decade]?.films);
    expect((await ask('/nowhere')).status).toBe(404);

    // A second one on the same port says so in one line, and ends by itself as well.
    const second = spawn(process.execPath, [SCRIPT], { env: { ...process.env, PORT: port } });
    const [[complaint], [code]] = await Promise.all([once(second.stderr, 'data'), once(second, 'exit')]);
    expect(String(complaint)).toMatch(/^listen EADDRINUSE: .*\n$/);
    expect(code).toBe(1);

    server.kill('SIGINT');
    expect(await exited).toEqual([0, null]);
    expect(errors).toBe('');
  });
});
