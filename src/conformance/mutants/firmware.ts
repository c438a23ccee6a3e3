/** Broken firmware: bundles whose control firmware was built with one line changed. */
import { existsSync } from 'node:fs';
import { bundlePath, loadBundle, MUTANT_BUNDLES, readBundle, writeBundle } from '../../firmware-emu/index.js';
import type { Mutant } from './mutant.js';

/** By the names of src/firmware-emu/mutant-recipes.ts. */
const PROMISED_BY: Readonly<Record<string, readonly string[]>> = {
  'pages-not-scrubbed': ['DMA'],
  'arguments-unchecked': ['kernel launch'],
  'semaphore-falls': ['queues'],
  'wait-is-late': ['streams and events'],
  'administration-for-all': ['queues'],
  'context-keeps-its-pages': ['lifecycle'],
  'deadline-ignored': ['failure propagation'],
  'wrong-cookie': ['queues'],
  'skips-a-row': ['reduced devices'],
  'memory-survives-reset': ['reset and recovery'],
  'abort-lets-run': ['failure propagation'],
  'abort-hits-neighbour': ['failure propagation'],
  'priorities-ignored': ['queues'],
  'low-priority-starves': ['queues'],
  'semaphores-shared': ['queues'],
  'semaphores-outlive-context': ['queues'],
  'recover-ignored': ['streams and events'],
  'failure-not-carried': ['streams and events'],
  'failure-carried-to-all': ['streams and events'],
  'graph-runs-ahead': ['graph'],
  'graph-first-buffer': ['graph'],
  'wrong-node': ['graph'],
  'no-deadlock-detection': ['failure propagation'],
  'decompresses-everywhere': ['DMA'],
  'decompresses-without-end': ['DMA'],
  'decompressed-length-untold': ['DMA'],
  'lost-words-pass': ['fault injection'],
  'lost-kernel-kills': ['fault injection'],
  'hardware-error-unnamed': ['fault injection'],
};

/** Defects that show on another chip only. */
const BACKEND_OF: Readonly<Record<string, Mutant['backend']>> = { 'decompresses-everywhere': 'v1' };

export const FIRMWARE_MUTANTS: readonly Mutant[] = MUTANT_BUNDLES.map(({ name, doc, path }) => ({
  name,
  breaks: 'firmware',
  doc,
  promisedBy: PROMISED_BY[name] ?? [],
  ...(BACKEND_OF[name] === undefined ? {} : { backend: BACKEND_OF[name] }),
  unavailable: () =>
    existsSync(bundlePath(path)) ? undefined : 'broken firmware is in the checkout only, not in the package',
  /** The mutant's control firmware with everything else of the bundle under test. */
  apply: ({ backend, firmware }) => {
    const { sections } = loadBundle(bundlePath(path), { allowUnsigned: true });
    const broken = sections.filter(({ kind }) => kind === 'CONTROL_FIRMWARE');
    const kept = firmware.sections.filter(({ kind }) => !['MANIFEST', 'SIGNATURE', 'CONTROL_FIRMWARE'].includes(kind));
    const bytes = writeBundle({ manifest: firmware.manifest, sections: [...broken, ...kept] });
    return { backend, firmware: readBundle(bytes, { allowUnsigned: true, name: `mutant ${name}` }) };
  },
}));
