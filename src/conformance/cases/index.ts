/** Every case, in the order in which they run: what is below comes first, so that the first failure is nearest its cause. */
import type { ConformanceCase } from '../case.js';
import { abortCases } from './aborts.js';
import { codeLoadCases } from './code-load.js';
import { compiledExecutionCases } from './compiled-execution.js';
import { decompressionCases } from './decompression.js';
import { discoveryCases } from './discovery.js';
import { dmaCases } from './dma.js';
import { failureCases } from './failures.js';
import { faultInjectionCases } from './fault-injection.js';
import { firmwareCases } from './firmware.js';
import { graphCases } from './graphs.js';
import { hangDetectionCases } from './hang-detection.js';
import { interruptCases } from './interrupts.js';
import { launchCases } from './launch.js';
import { lifecycleCases } from './lifecycle.js';
import { memcpyCases } from './memcpy.js';
import { memoryCheckingCases } from './memory-checking.js';
import { memoryErrorCases } from './memory-errors.js';
import { memoryManagerCases } from './memory-manager.js';
import { multiDeviceCases } from './multi-device.js';
import { negativeCases } from './negative.js';
import { numericsCases } from './numerics.js';
import { numericsReferenceCases } from './numerics-references.js';
import { performanceCases } from './performance.js';
import { priorityCases } from './priorities.js';
import { queueOrderedMemoryCases } from './queue-ordered-memory.js';
import { queueCases } from './queues.js';
import { reducedDeviceCases } from './reduced-devices.js';
import { registerCases } from './registers.js';
import { resetCases } from './reset.js';
import { streamFailureCases } from './stream-failures.js';
import { streamCases } from './streams.js';
import { stressCases } from './stress.js';
import { threadCases } from './threads.js';
import { timelineCases } from './timelines.js';

/** Every case, category by category. */
export const CASES: readonly ConformanceCase[] = [
  ...registerCases,
  ...discoveryCases,
  ...lifecycleCases,
  ...queueCases,
  ...priorityCases,
  ...dmaCases,
  ...decompressionCases,
  ...interruptCases,
  ...launchCases,
  ...failureCases,
  ...abortCases,
  ...resetCases,
  ...hangDetectionCases,
  ...reducedDeviceCases,
  ...multiDeviceCases,
  ...threadCases,
  ...codeLoadCases,
  ...firmwareCases,
  ...memoryManagerCases,
  ...memoryCheckingCases,
  ...queueOrderedMemoryCases,
  ...streamCases,
  ...timelineCases,
  ...streamFailureCases,
  ...memcpyCases,
  ...graphCases,
  ...compiledExecutionCases,
  ...numericsCases,
  ...numericsReferenceCases,
  ...faultInjectionCases,
  ...memoryErrorCases,
  ...negativeCases,
  ...stressCases,
  ...performanceCases,
];

/** Their categories, in the order in which they run. */
export const CATEGORIES: readonly string[] = [...new Set(CASES.map((declared) => declared.category))];
