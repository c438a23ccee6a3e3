/** Where the modules lie that worker threads run. */
import { fileURLToPath } from 'node:url';

/**
 * Path of a module of this folder for a worker thread. Threads run what is built, also where a test runner runs the
 * sources: Node itself cannot.
 */
export function workerFile(name: string): string {
  const folder = import.meta.url.endsWith('.ts') ? '../../../dist/src/streaming-api/executor/' : './';
  return fileURLToPath(new URL(`${folder}${name}.js`, import.meta.url));
}
