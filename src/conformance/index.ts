/** The conformance suite: one set of cases, any firmware, any chip, any `PciFunction`. */
export type { Backend, Card, CardOptions } from './backend.js';
export { emulatorBackend, noBroadcastBackend, oneQueueBackend, oneVectorBackend } from './backends/emulator.js';
export { loopbackBackend } from './backends/loopback.js';
export { nullBackend } from './backends/null.js';
export { ALL_CAPABILITIES, CAPABILITIES, type Capability, without } from './capabilities.js';
export { type CaseOptions, type ConformanceCase, category, conformanceCase, unsupported } from './case.js';
export { CASES, CATEGORIES } from './cases/index.js';
export { FIGURES } from './cases/performance.js';
export { withTestKernels } from './firmware-under-test.js';
export { Fixture } from './fixture.js';
export { REPORTERS, type Reporter, type ReporterName } from './reporters/index.js';
export {
  type CaseResult,
  type CaseStatus,
  type RunOptions,
  runConformance,
  type Summary,
  summarize,
} from './runner.js';
export { type SoakFailure, type SoakOptions, type SoakProgress, type SoakReport, soak } from './soak.js';
export { type Measurement, readTolerances, type Tolerances } from './tolerances.js';
