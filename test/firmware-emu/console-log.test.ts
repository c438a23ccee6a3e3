import { pino } from 'pino';
import { expect, it } from 'vitest';
import { ConsoleLog } from '../../src/firmware-emu/index.js';

function recorder(texts: (string | Error)[]) {
  const lines: string[] = [];
  const logger = pino({ level: 'info' }, { write: (text: string) => lines.push(JSON.parse(text).msg) });
  const source = {
    consoleRead(): string {
      const text = texts.shift() ?? '';
      if (text instanceof Error) throw text;
      return text;
    },
  };
  return { lines, log: new ConsoleLog(source, logger, 1_000_000) };
}

it('logs lines when they are complete, and the rest at the end', () => {
  const { lines, log } = recorder(['one\ntw', 'o\n', 'three', '']);
  log.poll();
  expect(lines).toEqual(['one']);
  log.poll();
  log.poll();
  expect(lines).toEqual(['one', 'two']);
  log.close();
  log.close();
  expect(lines).toEqual(['one', 'two', 'three']);
});

it('ends quietly with the device', () => {
  const { lines, log } = recorder(['last\n', new Error('closed')]);
  log.poll();
  log.poll();
  log.close();
  expect(lines).toEqual(['last']);
});
