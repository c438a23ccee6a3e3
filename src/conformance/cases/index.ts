/** Every case, in the order in which they run: what is below comes first, so that the first failure is nearest its cause. */
import type { ConformanceCase } from '../case.js';
import { lifecycleCases } from './lifecycle.js';
import { queueCases } from './queues.js';

export const CASES: readonly ConformanceCase[] = [...lifecycleCases, ...queueCases];

export const CATEGORIES: readonly string[] = [...new Set(CASES.map((declared) => declared.category))];
