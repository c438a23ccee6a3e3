/** Broken firmware: bundles whose control firmware was built with one line changed. */
import { bundlePath, loadBundle, MUTANT_BUNDLES, readBundle, writeBundle } from '../../firmware-emu/index.js';
import type { Mutant } from './mutant.js';

export const FIRMWARE_MUTANTS: readonly Mutant[] = MUTANT_BUNDLES.map(({ name, doc, path }) => ({
  name,
  breaks: 'firmware',
  doc,
  /** The mutant's control firmware with everything else of the bundle under test. */
  apply: ({ backend, firmware }) => {
    const broken = loadBundle(bundlePath(path)).sections.filter(({ kind }) => kind === 'CONTROL_FIRMWARE');
    const kept = firmware.sections.filter(({ kind }) => !['MANIFEST', 'SIGNATURE', 'CONTROL_FIRMWARE'].includes(kind));
    const bytes = writeBundle({ manifest: firmware.manifest, sections: [...broken, ...kept] });
    return { backend, firmware: readBundle(bytes, { allowUnsigned: true, name: `mutant ${name}` }) };
  },
}));
