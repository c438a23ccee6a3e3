/** Firmware bundles of the emulated chip, and what looks at the chip through its debug door. */
export {
  type Bundle,
  type BundleOptions,
  type BundleSection,
  readBundle,
  type SectionKind,
} from './bundle.js';
export { bundlePath, loadBundle } from './bundle-location.js';
export {
  BENCHMARK_BUNDLE,
  BUNDLES,
  DEFAULT_BUNDLE,
  DROP_BIAS_BUNDLE,
  EXTERNAL_KERNEL_ID,
  type ExternalKernelName,
  FIRMWARE_VERSION,
  READS_HOST_MEMORY_BUNDLE,
  TEST_KERNELS_BUNDLE,
  WITHOUT_GRAPH_LAUNCH_BUNDLE,
} from './bundle-recipes.js';
export { type BundleContent, type SectionContent, writeBundle } from './bundle-writer.js';
export { ConsoleLog, type ConsoleSource } from './console-log.js';
export { DebugPort, type HartId, parseHart } from './debug-port.js';
export { hex } from './elf-loader.js';
export { type ExecuteOptions, type ExecuteResult, executeElf } from './execute-elf.js';
export type { Manifest } from './manifest.js';
export { MUTANT_BUNDLES, type MutantRecipe } from './mutant-recipes.js';
export { rawPublicKey, readPrivateKey, signRecords, verifyRecords } from './signature.js';
export { TRUSTED_KEYS } from './trusted-keys.js';
