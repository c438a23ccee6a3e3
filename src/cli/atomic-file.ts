/** Files that appear whole or not at all. */
import { rename, rm, writeFile } from 'node:fs/promises';
import { aboutFile } from './errors.js';
import { untilInterrupted } from './interrupt.js';

/** Writes beside the destination first: a rename within a folder cannot be seen half done. */
export async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`;
  const write = async (): Promise<void> => {
    await writeFile(temporary, bytes);
    await rename(temporary, path);
  };
  await aboutFile(path, () => untilInterrupted(write, () => rm(temporary, { force: true })));
}
