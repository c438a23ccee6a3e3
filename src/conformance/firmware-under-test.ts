/** The bundle under test, together with the kernels that cases run on it. */
import {
  type Bundle,
  bundlePath,
  loadBundle,
  readBundle,
  TEST_KERNELS_BUNDLE,
  writeBundle,
} from '../firmware-emu/index.js';

/**
 * Control firmware, monitor and kernels of `bundle`, and those kernels of the suite that it does not have: kernels that
 * fail in every way there is. Nobody signs the whole.
 */
export function withTestKernels(bundle: Bundle): Bundle {
  const suite = loadBundle(bundlePath(TEST_KERNELS_BUNDLE));
  const own = new Set(bundle.sections.filter(({ kind }) => kind === 'KERNEL').map(({ kernelId }) => kernelId));
  const added = suite.sections.filter(({ kind, kernelId }) => kind === 'KERNEL' && !own.has(kernelId));
  const kept = bundle.sections.filter(({ kind }) => kind !== 'MANIFEST' && kind !== 'SIGNATURE');
  const kernels = { ...suite.manifest.kernels, ...bundle.manifest.kernels };
  const bytes = writeBundle({ manifest: { ...bundle.manifest, kernels }, sections: [...kept, ...added] });
  return readBundle(bytes, { allowUnsigned: true, name: 'firmware under test' });
}
